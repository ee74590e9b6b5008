"""Search, classify and watch the meaning of an event log.

`SemanticIndex` follows a store and searches it; all it keeps is derived and can be deleted.
"""

from toka.store.semantic._analysis import Analysis, analyse
from toka.store.semantic._causes import CausalExtractor
from toka.store.semantic._distance import DistanceDetector
from toka.store.semantic._document import Document, Hit
from toka.store.semantic._embedder import Embedder, Vectors
from toka.store.semantic._errors import (
    EngineMissing,
    IndexClosed,
    IndexFailed,
    IndexLocked,
    ModelDamaged,
    ModelMissing,
    NotIndexed,
    SearchError,
    TooMany,
)
from toka.store.semantic._exact import Neighbours, Positions
from toka.store.semantic._grouping import Clustering, Group, cluster, near_duplicates
from toka.store.semantic._hashing import HashingEmbedder
from toka.store.semantic._index import IndexStats, SemanticIndex
from toka.store.semantic._minilm import MiniLmEmbedder
from toka.store.semantic._nearest import NearestClassifier
from toka.store.semantic._projection import Mode
from toka.store.semantic._rate import RateDetector
from toka.store.semantic._text import TextExtractor, event_text
from toka.store.semantic._vectors import Engine, VectorIndex

__all__ = [
    "Analysis",
    "CausalExtractor",
    "Clustering",
    "DistanceDetector",
    "Document",
    "Embedder",
    "Engine",
    "EngineMissing",
    "Group",
    "HashingEmbedder",
    "Hit",
    "IndexClosed",
    "IndexFailed",
    "IndexLocked",
    "IndexStats",
    "MiniLmEmbedder",
    "Mode",
    "ModelDamaged",
    "ModelMissing",
    "NearestClassifier",
    "Neighbours",
    "NotIndexed",
    "Positions",
    "RateDetector",
    "SearchError",
    "SemanticIndex",
    "TextExtractor",
    "TooMany",
    "VectorIndex",
    "Vectors",
    "analyse",
    "cluster",
    "event_text",
    "near_duplicates",
]
