"""Lets Vowpal Wabbit parse a dsjson export, learn from it, and choose."""
import json
import os
import sys
import tempfile

import vowpalwabbit
from vowpalwabbit import LabelType

text = sys.stdin.buffer.read()
lines = [json.loads(line) for line in text.splitlines()]
problems = []


def parsed(workspace, line):
    """The action (from 0 on), cost and probability of the label as VW reads them, and how many actions there are."""
    examples = workspace.parse(json.dumps(line))
    label = None
    shared = examples[0].get_label(LabelType.CONTEXTUAL_BANDIT)
    for place, example in enumerate(examples[1:]):
        for cost in example.get_label(LabelType.CONTEXTUAL_BANDIT).costs:
            label = [place, cost.cost, round(cost.probability, 6)]
    features = examples[0].num_features_in(0) if examples[0].num_namespaces() else 0
    count = len(examples) - 1
    workspace.finish_example(examples)
    return label, count, features


reader = vowpalwabbit.Workspace("--cb_adf --dsjson --quadratic ca --quiet")
first = None
for line in lines:
    label, count, features = parsed(reader, line)
    first = first or label + [count]
    wanted = [line["_label_Action"] - 1, line["_label_cost"], round(line["_label_probability"], 6)]
    context = line["c"]["context"]
    if line.get("_skipLearn"):
        if label is not None:
            problems.append([line["EventId"], "VW would learn from it"])
    elif label != wanted or count != len(line["c"]["_multi"]):
        problems.append([line["EventId"], label, wanted, count])
    # What is zero or false is no feature; all others are, whatever they are called.
    elif context and features != sum(1 for value in context.values() if value):
        problems.append([line["EventId"], features, list(context)])
reader.finish()

with tempfile.TemporaryDirectory() as folder:
    path, model = os.path.join(folder, "rewards.dsjson"), os.path.join(folder, "model")
    with open(path, "wb") as file:
        file.write(text)
    vowpalwabbit.Workspace(f"--cb_adf --dsjson -d {path} --quadratic ca --quiet --cb_type mtr -f {model}").finish()
    policy = vowpalwabbit.Workspace(f"--dsjson -i {model} -t --quiet")
    best = {}
    for tier in ("gold", "tin"):
        arms = ["c", "a", "b"]
        question = {"Version": "1", "EventId": "question", "a": [1, 2, 3], "p": [1, 0, 0],
                    "c": {"context": {"tier": tier, "visits": 2, "member": True},
                          "_multi": [{"arm": {"id": arm}} for arm in arms]}}
        scores = policy.predict(json.dumps(question))
        best[tier] = arms[min(range(3), key=lambda index: scores[index])]
    policy.finish()

single = [line for line in lines if line["EventId"] == "d-5001"]
print(json.dumps({"lines": len(lines), "problems": problems[:5], "first": first, **best,
                  "single": json.dumps(single[0]["a"]) if single else ""}))
