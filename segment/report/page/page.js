"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const CURVE = { width: 320, height: 96, left: 6, top: 20, bottom: 8 };

  const words = JSON.parse(document.getElementById("words").textContent);

  const say = (name, places) => words[name].replace(/\{(\w+)\}/g, (_, place) => places[place]);

  const make = (name, attributes, parent) => {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    parent.append(node);
    return node;
  };

  const number = (value) => value.toLocaleString("en", { maximumFractionDigits: 3, useGrouping: false })
    .replace("-", "\u2212");

  // A point is colored by its responsibilities: the mean of the components' colors, weighted by them.
  const mixer = (colors) => {
    const parts = colors.map((code) => [1, 3, 5].map((at) => parseInt(code.slice(at, at + 2), 16)));
    return (shares) => {
      const total = shares.reduce((sum, share) => sum + share, 0) || 1;
      const mean = [0, 1, 2].map((c) => shares.reduce((sum, share, k) => sum + share * parts[k][c], 0) / total);
      return `rgb(${mean.map(Math.round).join(" ")})`;
    };
  };

  const drawPanel = (panel, data, parent) => {
    const box = document.createElement("div");
    box.className = "panel";
    box.innerHTML = "<p class='name'></p>";
    box.firstChild.textContent = panel.title;
    parent.append(box);
    const [width, height] = data.size;
    const scatter = make("svg", { viewBox: `0 0 ${width} ${height}`, class: "scatter", role: "img",
      "aria-label": say("points", panel) }, box);
    const mix = mixer(data.colors);
    const points = data.points.map(([cx, cy]) => make("circle", { cx, cy, r: 8, "fill-opacity": 0.8 }, scatter));
    const moving = data.moving || [];
    moving.forEach((n) => points[n].setAttribute("class", "moving"));
    const shapes = data.colors.map((color) => panel.steps[0].ellipses
      ? make("ellipse", { stroke: color }, scatter)
      : make("path", { stroke: "currentColor", class: "mark" }, scatter));
    const values = panel.values;
    const low = Math.min(...values), high = Math.max(...values), span = high - low || 1;
    const x = (i) => CURVE.left + i * (CURVE.width - 2 * CURVE.left) / Math.max(values.length - 1, 1);
    const y = (v) => CURVE.height - CURVE.bottom - (v - low) / span * (CURVE.height - CURVE.top - CURVE.bottom);
    const plot = make("svg", { viewBox: `0 0 ${CURVE.width} ${CURVE.height}`, role: "img",
      "aria-label": say("curve", panel) }, box);
    make("line", { x1: 0, x2: CURVE.width, y1: CURVE.height - 1, y2: CURVE.height - 1, class: "base" }, plot);
    make("polyline", { class: "curve", points: values.map((v, i) => `${x(i)},${y(v)}`).join(" ") }, plot);
    const now = make("circle", { r: 5, class: "now" }, plot);
    const text = make("text", { x: CURVE.left, y: 13 }, plot);
    return (iteration) => {
      const i = Math.min(iteration, panel.steps.length - 1), step = panel.steps[i];
      points.forEach((point, n) => point.setAttribute("fill", mix(step.shares[n])));
      moving.forEach((n, m) => {
        points[n].setAttribute("cx", step.moved[m][0]);
        points[n].setAttribute("cy", step.moved[m][1]);
      });
      shapes.forEach((shape, k) => {
        if (step.ellipses) {
          const [cx, cy, rx, ry, angle] = step.ellipses[k];
          Object.entries({ cx, cy, rx, ry }).forEach(([key, value]) => shape.setAttribute(key, value));
          shape.setAttribute("transform", `rotate(${angle} ${cx} ${cy})`);
        } else {
          const [cx, cy] = step.centers[k];
          shape.setAttribute("d", `M${cx - 24} ${cy}h48M${cx} ${cy - 24}v48`);
        }
      });
      now.setAttribute("cx", x(i));
      now.setAttribute("cy", y(values[i]));
      const places = { title: panel.title, curve: panel.curve, value: number(values[i]) };
      text.textContent = say("reading", places);
      return say("panel", places);
    };
  };

  // One slider: shows a place, says it, and plays from the start if it stands at the end.
  const control = (figure, show, pause) => {
    const input = figure.querySelector("input[type=range]");
    const output = figure.querySelector("output");
    const update = () => {
      const text = show(Number(input.value));
      input.setAttribute("aria-valuetext", text);
      if (output) output.textContent = text;
    };
    input.addEventListener("input", update);
    const button = figure.querySelector(".play");
    let timer = null;
    const stop = () => {
      clearInterval(timer);
      timer = null;
      button.textContent = "\u25B6";
      button.setAttribute("aria-label", words.play);
    };
    button?.addEventListener("click", () => {
      if (timer) return stop();
      if (input.value === input.max) input.value = 0;
      button.textContent = "\u275A\u275A";
      button.setAttribute("aria-label", words.pause);
      update();
      timer = setInterval(() => {
        input.stepUp();
        update();
        if (input.value === input.max) stop();
      }, pause);
    });
    update();
  };

  for (const figure of document.querySelectorAll(".replay")) {
    const data = JSON.parse(figure.querySelector("script").textContent);
    const panels = figure.querySelector(".panels");
    panels.replaceChildren();
    const draws = data.panels.map((panel) => drawPanel(panel, data, panels));
    const input = figure.querySelector("input");
    input.max = Math.max(...data.panels.map((panel) => panel.steps.length)) - 1;
    input.value = input.max;
    control(figure, (i) => [say("iteration", { i, n: input.max }), ...draws.map((draw) => draw(i))].join(words.between), 450);
  }

  // A formula wider than the screen is scrolled, by keyboard too.
  for (const formula of document.querySelectorAll("math[display=block]")) {
    if (formula.scrollWidth > formula.clientWidth) formula.setAttribute("tabindex", "0");
  }

  // A figure in its full size, over the page; Escape, the button or a click beside it closes it.
  const dialog = document.createElement("dialog");
  dialog.className = "large";
  dialog.innerHTML = "<button type='button' class='close'>\u2715</button><div class='pan' tabindex='0'></div>";
  document.body.append(dialog);
  const [close, pan] = dialog.children;
  close.setAttribute("aria-label", words.close);
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

  for (const figure of document.querySelectorAll("figure")) {
    const paper = figure.querySelector(".paper");
    if (!paper) continue;
    const image = paper.querySelector("img");
    const what = figure.querySelector("figcaption b").textContent;
    const open = () => {
      const large = image.cloneNode();
      large.removeAttribute("height");
      large.width = Math.max(image.width, Math.min(image.naturalWidth, window.innerWidth - 64), image.getAttribute("width"));
      pan.replaceChildren(large);
      dialog.setAttribute("aria-label", what);
      dialog.showModal();
    };
    const button = document.createElement("button");
    button.type = "button";
    button.className = "enlarge";
    button.textContent = "\u2922";
    button.setAttribute("aria-label", say("enlarge", { what }));
    paper.append(button);
    button.addEventListener("click", open);
    image.addEventListener("click", open);
  }

  for (const figure of document.querySelectorAll(".compare")) {
    const stack = figure.querySelector(".stack");
    control(figure, (at) => {
      stack.style.setProperty("--at", `${at}%`);
      return say("compare", { photo: at, segmented: 100 - at });
    });
  }

  for (const figure of document.querySelectorAll(".frames")) {
    const frames = [...figure.querySelectorAll(".frame")];
    control(figure, (at) => {
      frames.forEach((frame, i) => { frame.hidden = i !== at; });
      return frames[at].dataset.label;
    }, 900);
  }
})();
