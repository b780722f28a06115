"""Where results are logged: MLflow, off the training path. Importing this package does not import MLflow."""

from hpo.tracking.study_info import Ending, Status, StudyInfo
from hpo.tracking.tracker import Tracker

__all__ = ["Ending", "Status", "StudyInfo", "Tracker"]
