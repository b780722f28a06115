"""Which tests hold which module: the fast ones first, without TensorFlow wherever that will do."""

from collections.abc import Mapping, Sequence

_ENTITIES = ("tests/tracking/test_entities.py",)

TESTS: Mapping[str, Sequence[str]] = {
    "coordinator.py": ("tests/test_coordinator_edges.py", "tests/test_coordinator.py"),
    "record.py": ("tests/test_record.py",),
    "study.py": ("tests/test_study.py", "tests/test_tried.py", "tests/test_told.py"),
    "tried.py": ("tests/test_tried.py", "tests/test_study.py"),
    "told.py": ("tests/test_told.py", "tests/test_study.py"),
    "store.py": ("tests/test_study.py", "tests/test_local_time.py", "tests/compare/test_trial_tables.py"),
    "batched.py": ("tests/test_batched.py", "tests/test_study.py"),
    "unwritten.py": ("tests/test_batched.py", "tests/test_store_away.py", "tests/test_local_time.py"),
    "writer.py": ("tests/test_writer.py", "tests/test_store_away.py"),
    "space.py": ("tests/test_space.py",),
    "parameters.py": ("tests/test_space.py",),
    "conditions.py": ("tests/test_conditions.py", "tests/test_space.py"),
    "confirm/finalists.py": ("tests/confirm/test_finalists.py",),
    "confirm/decision.py": ("tests/confirm/test_decision.py",),
    "compare/compare.py": ("tests/compare/test_compare.py"),
    "compare/summary.py": ("tests/compare/test_summary.py",),
    "compare/where.py": ("tests/compare/test_where.py",),
    "data/labels.py": ("tests/data/test_labels.py",),
    "data/split.py": ("tests/data/test_split.py", "tests/data/test_folds.py"),
    "data/scaling.py": ("tests/data/test_scaling.py",),
    "data/tables.py": ("tests/data/test_tables.py",),
    "data/generated.py": ("tests/data/test_generated.py",),
    "data/prepare.py": ("tests/data/test_prepare.py", "tests/data/test_folds.py", "tests/data/test_generated.py"),
    "reuse/past.py": ("tests/reuse/test_past.py",),
    "reuse/carry.py": ("tests/reuse/test_carry.py", "tests/reuse/test_extend.py"),
    "tracking/entities.py": _ENTITIES,
    "export/predict.py": ("tests/export/test_predict.py",),
    "training/watch.py": ("tests/training/test_stopping.py", "tests/training/test_trial.py"),
    "training/folds.py": ("tests/training/test_fold_line.py", "tests/training/test_cross_validation.py"),
    "training/learning_rate.py": ("tests/training/test_learning_rate.py",),
    "training/weights.py": ("tests/training/test_weights.py",),
    "training/compiling.py": ("tests/training/test_compiling.py",),
    "training/graph.py": ("tests/training/test_graph.py", "tests/training/test_fresh_batches.py"),
    "training/template.py": ("tests/training/test_template.py",),
}
