"""What understands events: the protocols of plug-ins, what they find, and their registry.

Meaning is a layer above the store and never part of it: a finding can be computed again from the
log, by another plug-in, without a changed event. A plug-in is whatever has the methods of
`Classifier`, `RelationshipExtractor` or `AnomalyDetector`, of one or of several.
"""

from toka.store.core.semantic._errors import (
    AnalysisFailed,
    DuplicatePlugin,
    InvalidConfiguration,
    InvalidFinding,
    InvalidPlugin,
    SchemaUnchecked,
    SemanticError,
    UnknownPlugin,
)
from toka.store.core.semantic._findings import Anomaly, Classification, Relationship
from toka.store.core.semantic._plugin import (
    AnomalyDetector,
    Classifier,
    Plugin,
    PluginConfig,
    PluginInfo,
    RelationshipExtractor,
)
from toka.store.core.semantic._registry import PluginRegistry

__all__ = [
    "AnalysisFailed",
    "Anomaly",
    "AnomalyDetector",
    "Classification",
    "Classifier",
    "DuplicatePlugin",
    "InvalidConfiguration",
    "InvalidFinding",
    "InvalidPlugin",
    "Plugin",
    "PluginConfig",
    "PluginInfo",
    "PluginRegistry",
    "Relationship",
    "RelationshipExtractor",
    "SchemaUnchecked",
    "SemanticError",
    "UnknownPlugin",
]
