# SPDX-License-Identifier: Apache-2.0
"""The report's plain words: what was done, what a number means, which one to trust."""

from __future__ import annotations

from poseact_engine.evaluation.reproduce.results import REPORTED_ACCURACY

OPENING = (
    '"LSTM-Based Abnormal Behavior Recognition Using AlphaPose" names six actions from nine poses'
    " of 17 joints with an LSTM: 3 layers, 128 units, Adam, cross-entropy, 200 epochs, shuffled"
    " windows, an 8:2 split, standardised coordinates. It reports an accuracy of"
    f" {100 * REPORTED_ACCURACY:.2f} %. Its recordings are not public, so its experiments are"
    " repeated here on other poses, and beside each stands the test that it leaves out: people"
    " and clips that the model has never seen.",
)
MEANINGS = (
    "Paper's split: windows are dealt to both sides at random, 8 to 2. A window of nine poses lasts"
    " 0.27 s, and the next begins one pose later: nearly the same numbers. So most test windows"
    " have a near copy among those that were learnt from, of the same person, room and moment. A"
    " model that remembers does well here. This number flatters.",
    "Honest split: whole subjects, or clips where subjects are not known, are held out; all"
    " cameras of a take stay on one side. It tells what happens with somebody new. This is the"
    " number to trust.",
    "Mean of classes: the mean of the classes' own accuracies. Rare falls weigh as much as common"
    " walking.",
    "Falls found: the share of the windows of falls that were named falling down. It is per window;"
    " an incident takes several. Labels may begin before anything moves; our recipe does not learn"
    " such windows as falls, and they count against it here.",
    f"{100 * REPORTED_ACCURACY:.2f} % is the paper's number on its own recordings and its own"
    " split. It is a reference, not a target on other data.",
    "Our recipe is what `poseact train action` does: poses relative to the body instead of plain"
    " pixels, random changes while learning (mirrored, turned, noisy, partly hidden), classes and"
    " sources drawn equally often. It is tested on the honest split alone, on the same windows. It"
    " draws from all windows of the people that are learnt from, and from the same with frames left"
    " out, but takes fewer steps: the facts at the end say how many.",
    "No number was picked: each is of the last epoch, and the test side decides nothing.",
)
ACROSS = (
    "The hardest test: other people, rooms, cameras and another way of finding joints. What a model"
    " has learnt of its own data set's habits is of no use here.",
)
METHOD = (
    "Windows are cut on a grid of 30 poses a second by the code that the engine runs. Where a data"
    " set has more windows than asked for, they are drawn at random: rare classes stay whole,"
    " common ones are cut to an equal number; both splits are drawn in this way. Forest and SVM see"
    " the same standardised coordinates, flat; scikit-learn's defaults. The paper gives neither"
    " batch size nor learning rate: 128 and 0.001 are used for both optimisers.",
)
CURVES = (
    "Each epoch's training loss and accuracy are means over its batches, taken while it learns;"
    " those of the test side are taken after it."
)
ROBUSTNESS = (
    "Both models have learnt from the honest split and see its test windows, changed. Missing"
    " joints are missing in the whole window, for shorter gaps are interpolated before a model"
    " sees them. Jitter is a Gaussian's deviation per joint and pose, against the height of the"
    " pose. Frame rates below a sequence's own leave frames out; above it, poses in between are"
    " interpolated, so that the rates above the source's say little. Windows of other frame rates"
    " are drawn anew: their numbers compare with one another. Where plain pixels are learnt, the"
    " place in the picture is part of the action; shift and scale show it. Poses relative to the"
    " body are free of both.",
)
ROBUST_PLOT = "Accuracy (above) and falls found (below); the amounts are those of the table"


def shared(paper: float, honest: float) -> str:
    """How far the two splits leak."""
    return (
        f"Of the paper's split, {100 * paper:.1f} % of the test windows share frames with a window"
        f" that was learnt from; of the honest split, {100 * honest:.1f} %."
    )
