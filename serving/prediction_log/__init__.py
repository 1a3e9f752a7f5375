"""The log of served and shadow predictions: each worker appends to files, and one process per host sends them to Kafka.

`log` appends, `segment_file` defines the format, `event_template` shortens what is appended, and `shipper` sends.
"""

from serving.prediction_log.event_template import EventTemplate, attributes_text, template_of, template_of_features
from serving.prediction_log.log import PredictionLog
from serving.prediction_log.shipper import Shipper

__all__ = ["EventTemplate", "PredictionLog", "Shipper", "attributes_text", "template_of", "template_of_features"]
