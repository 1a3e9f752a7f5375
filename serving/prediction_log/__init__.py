"""The log of served predictions: appended to files by each worker, and sent to Kafka by one process per host.

`log` appends, `segment_file` defines the format, `event_template` shortens what is appended, and `shipper` sends.
"""

from serving.prediction_log.event_template import EventTemplate, attributes_text, template_of, template_of_features
from serving.prediction_log.log import PredictionLog
from serving.prediction_log.shipper import Shipper

__all__ = ["EventTemplate", "PredictionLog", "Shipper", "attributes_text", "template_of", "template_of_features"]
