"""What a student reads before an experiment's findings: its set-up and both steps of EM in its own terms."""

from __future__ import annotations

from dataclasses import dataclass

# Key as it stands in the text -> what stands in the list at the end of the report.
REFERENCES = {
    "Baum et al. 1970": "Baum, L. E., Petrie, T., Soules, G. and Weiss, N. (1970). A maximization "
    "technique occurring in the statistical analysis of probabilistic functions of "
    "Markov chains. Annals of Mathematical Statistics 41, 164-171.",
    "Bishop 2006": "Bishop, C. M. (2006). Pattern Recognition and Machine Learning. Springer.",
    "Dempster et al. 1977": "Dempster, A. P., Laird, N. M. and Rubin, D. B. (1977). Maximum likelihood "
    "from incomplete data via the EM algorithm. Journal of the Royal "
    "Statistical Society B 39, 1-38.",
    "Fisher 1936": "Fisher, R. A. (1936). The use of multiple measurements in taxonomic problems. "
    "Annals of Eugenics 7, 179-188.",
    "Hasselblad 1969": "Hasselblad, V. (1969). Estimation of finite mixtures of distributions from the "
    "exponential family. Journal of the American Statistical Association 64, "
    "1459-1471.",
    "Lazarsfeld & Henry 1968": "Lazarsfeld, P. F. and Henry, N. W. (1968). Latent Structure Analysis. "
    "Houghton Mifflin.",
    "LeCun et al. 1998": "LeCun, Y., Bottou, L., Bengio, Y. and Haffner, P. (1998). Gradient-based "
    "learning applied to document recognition. Proceedings of the IEEE 86, "
    "2278-2324.",
    "McLachlan & Peel 2000": "McLachlan, G. J. and Peel, D. (2000). Finite Mixture Models. Wiley.",
    "Meng & Rubin 1991": "Meng, X.-L. and Rubin, D. B. (1991). Using EM to obtain asymptotic "
    "variance-covariance matrices: the SEM algorithm. Journal of the American "
    "Statistical Association 86, 899-909.",
    "Neal & Hinton 1998": "Neal, R. M. and Hinton, G. E. (1998). A view of the EM algorithm that "
    "justifies incremental, sparse, and other variants. In Learning in Graphical "
    "Models, 355-368. Kluwer.",
    "Stauffer & Grimson 1999": "Stauffer, C. and Grimson, W. E. L. (1999). Adaptive background mixture "
    "models for real-time tracking. IEEE Conference on Computer Vision and "
    "Pattern Recognition, 246-252.",
    "Varadhan & Roland 2008": "Varadhan, R. and Roland, C. (2008). Simple and globally convergent "
    "methods for accelerating the convergence of any EM algorithm. "
    "Scandinavian Journal of Statistics 35, 335-353.",
    "Wu 1983": "Wu, C. F. J. (1983). On the convergence properties of the EM algorithm. Annals of "
    "Statistics 11, 95-103.",
}


@dataclass(frozen=True)
class Lesson:
    """What is to be known before the findings of an experiment can be read.

    Attributes
    ----------
    given : str
        The data, and what is known of them.
    hidden : str
        What EM does as if it were known.
    e_step, m_step : str
        Both steps in the experiment's own terms.
    look : str
        What to look at in figures and tables.
    references : tuple of str
        Keys of `REFERENCES`: where method, data and expected values come from.
    """

    given: str
    hidden: str
    e_step: str
    m_step: str
    look: str
    references: tuple[str, ...]

    def __post_init__(self) -> None:
        if unknown := [key for key in self.references if key not in REFERENCES]:
            raise KeyError(f"no reference is called {', '.join(unknown)}")

    def items(self) -> tuple[tuple[str, str], ...]:
        """Return titles and texts in the order to be read."""
        return (
            ("Given", self.given),
            ("Hidden", self.hidden),
            ("E-step", self.e_step),
            ("M-step", self.m_step),
            ("What to look at", self.look),
        )
