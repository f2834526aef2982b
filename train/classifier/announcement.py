"""What a training of a classifier is about to do, said before its first epoch."""

from __future__ import annotations

from configs.plural import counted
from train.classifier.batches import Balance
from train.classifier.record import RunFiles
from train.classifier.training import Training
from train.data.pictures import CheckedDataset
from train.session.overview import device_name, learning_share, left_out_text, print_overview

BALANCES: dict[Balance, str] = {
    "sampling": "rare classes are shown more often",
    "weights": "rare classes count more",
    "none": "each picture once",
}


def announce(
    checked: CheckedDataset,
    labels: str,
    training: Training,
    files: RunFiles,
    network: str,
    steps: int,
    *,
    resumed: bool,
) -> None:
    """Say what is about to be learnt, before the first epoch."""
    splits = {name: [row.label for row in checked.rows if row.split == name] for name in checked.data.splits}
    recipe, done = training.recipe, len(training.history)
    epochs = recipe.epochs
    facts = {
        "left out": left_out_text(checked.left_out),
        "labels": labels,
        "network": network,
        "learning": learning_share(training.network),
        "device": device_name(training.device),
        "epochs": f"{epochs}, {done} of them done before" if resumed else str(epochs),
        "an epoch": f"{counted(steps, 'step')} of {recipe.batch_size} faces or fewer; {BALANCES[recipe.balance]}",
        "rate": f"{recipe.learning_rate:g}, {recipe.schedule}; {recipe.optimizer}",
        "writes": f"{files.model} (its best epoch) and {files.manifest}; {files.result('*')}",
        "look at": f"{files.result('train_batch.jpg')}: what the network sees",
    }
    print_overview(checked.data.classes, splits, facts)
