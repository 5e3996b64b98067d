"""What a student reads before an experiment's findings: its set-up and both steps of EM in its own terms."""

from __future__ import annotations

from dataclasses import dataclass

# Key as it stands in the text -> what stands in the list at the end of the report.
REFERENCES = {
    "Baudry et al. 2010": "Baudry, J.-P., Raftery, A. E., Celeux, G., Lo, K. and Gottardo, R. (2010). "
    "Combining mixture components for clustering. Journal of Computational and Graphical "
    "Statistics 19, 332-353.",
    "Baum et al. 1970": "Baum, L. E., Petrie, T., Soules, G. and Weiss, N. (1970). A maximization "
    "technique occurring in the statistical analysis of probabilistic functions of "
    "Markov chains. Annals of Mathematical Statistics 41, 164-171.",
    "Besag 1986": "Besag, J. (1986). On the statistical analysis of dirty pictures. Journal of the Royal "
    "Statistical Society B 48, 259-302.",
    "Bishop 2006": "Bishop, C. M. (2006). Pattern Recognition and Machine Learning. Springer.",
    "Caffo et al. 2005": "Caffo, B. S., Jank, W. and Jones, G. L. (2005). Ascent-based Monte Carlo "
    "expectation- maximization. Journal of the Royal Statistical Society B 67, 235-251.",
    "Cappe & Moulines 2009": "Cappe, O. and Moulines, E. (2009). On-line expectation-maximization algorithm "
    "for latent data models. Journal of the Royal Statistical Society B 71, 593-613.",
    "Celeux et al. 2003": "Celeux, G., Forbes, F. and Peyrard, N. (2003). EM procedures using mean "
    "field-like approximations for Markov model-based image segmentation. Pattern Recognition 36, 131-144.",
    "Dempster et al. 1977": "Dempster, A. P., Laird, N. M. and Rubin, D. B. (1977). Maximum likelihood "
    "from incomplete data via the EM algorithm. Journal of the Royal "
    "Statistical Society B 39, 1-38.",
    "Fisher 1935": "Fisher, R. A. (1935). The Design of Experiments. Oliver and Boyd.",
    "Fisher 1936": "Fisher, R. A. (1936). The use of multiple measurements in taxonomic problems. "
    "Annals of Eugenics 7, 179-188.",
    "Hasselblad 1969": "Hasselblad, V. (1969). Estimation of finite mixtures of distributions from the "
    "exponential family. Journal of the American Statistical Association 64, "
    "1459-1471.",
    "Hennig 2010": "Hennig, C. (2010). Methods for merging Gaussian mixture components. Advances in Data "
    "Analysis and Classification 4, 3-34.",
    "Lange 1995": "Lange, K. (1995). A gradient algorithm locally equivalent to the EM algorithm. Journal of "
    "the Royal Statistical Society B 57, 425-437.",
    "Lazarsfeld & Henry 1968": "Lazarsfeld, P. F. and Henry, N. W. (1968). Latent Structure Analysis. "
    "Houghton Mifflin.",
    "LeCun et al. 1998": "LeCun, Y., Bottou, L., Bengio, Y. and Haffner, P. (1998). Gradient-based "
    "learning applied to document recognition. Proceedings of the IEEE 86, "
    "2278-2324.",
    "Liu & Rubin 1995": "Liu, C. and Rubin, D. B. (1995). ML estimation of the t distribution using EM and "
    "its extensions, ECM and ECME. Statistica Sinica 5, 19-39.",
    "Liu et al. 1998": "Liu, C., Rubin, D. B. and Wu, Y. N. (1998). Parameter expansion to accelerate EM: "
    "the PX-EM algorithm. Biometrika 85, 755-770.",
    "Louis 1982": "Louis, T. A. (1982). Finding the observed information matrix when using the EM algorithm. "
    "Journal of the Royal Statistical Society B 44, 226-233.",
    "McLachlan & Peel 2000": "McLachlan, G. J. and Peel, D. (2000). Finite Mixture Models. Wiley.",
    "Meng & Rubin 1991": "Meng, X.-L. and Rubin, D. B. (1991). Using EM to obtain asymptotic "
    "variance-covariance matrices: the SEM algorithm. Journal of the American "
    "Statistical Association 86, 899-909.",
    "Meng & Rubin 1993": "Meng, X.-L. and Rubin, D. B. (1993). Maximum likelihood estimation via the ECM "
    "algorithm: a general framework. Biometrika 80, 267-278.",
    "Murray 1977": "Murray, G. D. (1977). Contribution to the discussion of Dempster, Laird and Rubin. "
    "Journal of the Royal Statistical Society B 39, 27-28.",
    "Neal & Hinton 1998": "Neal, R. M. and Hinton, G. E. (1998). A view of the EM algorithm that "
    "justifies incremental, sparse, and other variants. In Learning in Graphical "
    "Models, 355-368. Kluwer.",
    "Nowak 2003": "Nowak, R. D. (2003). Distributed EM algorithms for density estimation and clustering in "
    "sensor networks. IEEE Transactions on Signal Processing 51, 2245-2253.",
    "Peel & McLachlan 2000": "Peel, D. and McLachlan, G. J. (2000). Robust mixture modelling using the t "
    "distribution. Statistics and Computing 10, 339-348.",
    "Rao 1965": "Rao, C. R. (1965). Linear Statistical Inference and its Applications. Wiley.",
    "Stauffer & Grimson 1999": "Stauffer, C. and Grimson, W. E. L. (1999). Adaptive background mixture "
    "models for real-time tracking. IEEE Conference on Computer Vision and "
    "Pattern Recognition, 246-252.",
    "Varadhan & Roland 2008": "Varadhan, R. and Roland, C. (2008). Simple and globally convergent "
    "methods for accelerating the convergence of any EM algorithm. "
    "Scandinavian Journal of Statistics 35, 335-353.",
    "Viterbi 1967": "Viterbi, A. J. (1967). Error bounds for convolutional codes and an asymptotically "
    "optimum decoding algorithm. IEEE Transactions on Information Theory 13, 260-269.",
    "Walker & Ni 2011": "Walker, H. F. and Ni, P. (2011). Anderson acceleration for fixed-point iterations. "
    "SIAM Journal on Numerical Analysis 49, 1715-1735.",
    "Wei & Tanner 1990": "Wei, G. C. G. and Tanner, M. A. (1990). A Monte Carlo implementation of the EM "
    "algorithm and the poor man's data augmentation algorithms. Journal of the American Statistical "
    "Association 85, 699-704.",
    "Wu 1983": "Wu, C. F. J. (1983). On the convergence properties of the EM algorithm. Annals of "
    "Statistics 11, 95-103.",
    "Zucchini et al. 2016": "Zucchini, W., MacDonald, I. L. and Langrock, R. (2016). Hidden Markov Models "
    "for Time Series, second edition. CRC Press.",
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
