"""The coefficients that the noise regression starts from, and the public data to which they were fitted.

They were fitted once, to real goals of eight domains without the last two cycles of each domain. Each cycle had the
weight of at most 30 rows, and domains with many cycles were weighted down. The data is not part of this project.
"""

from collections.abc import Mapping

PRIOR_COEFFICIENTS: Mapping[str, float] = {
    "margin": 1.047,
    "peers": 0.726,
    "reversion": 0.419,
    "season": 0.573,
    "pace": 0.118,
}
PRIOR_INTERCEPT = -0.02

# Domain: source and licence of the metrics. Values were averaged or summed and cut into cycles; targets were added.
PRIOR_SOURCES: Mapping[str, str] = {
    "air quality in Beijing": "Zhang et al. 2017, UCI Machine Learning Repository; CC BY 4.0",
    "interoperability of browsers": "web-platform-tests/results-analysis, Google LLC; BSD-3-Clause",
    "bicycles and pedestrians in Zurich": "counting stations of the City of Zurich; CC0",
    "intensive care in Germany": "Robert Koch-Institut and DIVI, Intensivregister; CC BY 4.0",
    "chickenpox in Hungary": "Rozemberczki et al. 2021, UCI Machine Learning Repository; CC BY 4.0",
    "job postings": "Indeed Hiring Lab, job_postings_tracker; CC BY 4.0",
    "hospital admissions with influenza in the US": "cdcepi/FluSight-forecast-hub, NHSN; MIT",
    "vaccinations in US states": "Our World in Data, from CDC data; CC BY 4.0",
}
