"""The field's figures, one family a file, from records of single samples.

Records of several processes are merged by adding their lists. A family turns records into a
`Measurement`, and that into `Figure`s with intervals; the measurements of two systems give
`Difference`s. The scores without intervals (`score`, `score_pointing`) are for
progress bars and validation during training.
"""

from eval.metrics.average_precision import (
    InstanceRecord,
    ScoredInstance,
    TrueInstance,
    average_precision_figures,
    average_precision_measurement,
)
from eval.metrics.bootstrap import Measurement, joined, paired_differences, with_intervals
from eval.metrics.cosod import (
    SaliencyRecord,
    judge_saliency,
    saliency_figures,
    saliency_measurement,
)
from eval.metrics.figures import Difference, Figure
from eval.metrics.gres import (
    GresRecord,
    gres_figures,
    gres_mask_figures,
    gres_mask_measurement,
    gres_measurement,
    gres_records,
)
from eval.metrics.groups import GroupRecord, group_figures, group_measurement
from eval.metrics.iou import (
    IouScores,
    PixelCounts,
    count_pixels,
    score,
    score_as_released,
)
from eval.metrics.masks import MaskRecord, mask_figures, mask_measurement
from eval.metrics.pointing import PointingScores, score_pointing
from eval.metrics.ref_zom import ref_zom_figures, ref_zom_measurement
from eval.metrics.scene_graph import (
    Relation,
    SceneGraph,
    SceneGraphRecord,
    judge_scene_graph,
    one_predicate_per_pair,
    scene_graph_figures,
    scene_graph_measurement,
)
from eval.metrics.tagging import TagRecord, tagging_figures, tagging_measurement

__all__ = [
    "Difference",
    "Figure",
    "GresRecord",
    "GroupRecord",
    "InstanceRecord",
    "IouScores",
    "MaskRecord",
    "Measurement",
    "PixelCounts",
    "PointingScores",
    "Relation",
    "SaliencyRecord",
    "SceneGraph",
    "SceneGraphRecord",
    "ScoredInstance",
    "TagRecord",
    "TrueInstance",
    "average_precision_figures",
    "average_precision_measurement",
    "count_pixels",
    "gres_figures",
    "gres_mask_figures",
    "gres_mask_measurement",
    "gres_measurement",
    "gres_records",
    "group_figures",
    "group_measurement",
    "joined",
    "judge_saliency",
    "judge_scene_graph",
    "mask_figures",
    "mask_measurement",
    "one_predicate_per_pair",
    "paired_differences",
    "ref_zom_figures",
    "ref_zom_measurement",
    "saliency_figures",
    "saliency_measurement",
    "scene_graph_figures",
    "scene_graph_measurement",
    "score",
    "score_as_released",
    "score_pointing",
    "tagging_figures",
    "tagging_measurement",
    "with_intervals",
]
