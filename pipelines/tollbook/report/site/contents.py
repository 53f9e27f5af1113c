"""What is on the pages of the site that tell what was: the bridge, tasks, hidden cost, subsidies, margins."""

from __future__ import annotations

from typing import Final

from tollbook.report.site import words
from tollbook.report.site.layout import Page, section
from tollbook.report.site.outlook_contents import CONCENTRATION, FORECAST, PATHS

BRIDGE: Final = Page(
    file="index.html",
    link="The bridge",
    title="Why the bill changed",
    about="Effective costs: what teams are charged, after discounts and with their share of platforms, plans and "
    "commitments. The effects sum to the change, to the last digit.",
    tables=("drivers", "effects", "prices"),
    filters=("team", "workflow", "before", "after"),
    words={
        "effects": [
            {"effect": effect, "label": label, "group": group, "meaning": meaning}
            for effect, (label, group, meaning) in words.EFFECTS.items()
        ],
        "groups": dict(words.GROUPS),
    },
    sections=(
        section(
            "bridge",
            "From one bill to the other",
            "Each effect is what changed the cost with all others as they were on average; the method does not depend "
            "on their order. It is worked out workflow by workflow: more tasks where a task is dear add cost, though "
            "there be fewer in all. Effects of zero are left out.",
            table="Every effect, with all digits",
        ),
        section(
            "bearers",
            "Where the change comes from",
            "Teams and workflows by how much their cost changed.",
            chart=False,
        ),
        section(
            "bills",
            "The bill by month and team",
            "Effective cost of the chosen team and workflow in each billing period.",
            table="Bill by month and team, with all digits",
        ),
        section(
            "prices",
            "What a token costs, whoever used it",
            "Index of list prices of all usage, the first period = 100, whatever team is chosen. <em>Prices</em>: the "
            "same units of the same models. <em>With successors</em>: a class of models, so that moving to a cheaper "
            "successor counts. <em>Average token</em>: whatever moved.",
            table="Price index by month",
        ),
    ),
    scripts=("bridge_words.js", "bridge.js"),
)

TASKS: Final = Page(
    file="tasks.html",
    link="Tasks",
    title="What a task costs",
    about="A task is one run of a workflow; it counts in the billing period in which it began, with the team of its "
    "first call. Costs are what calls cost by themselves. Means and percentiles are over tasks whose cost is known "
    "whole.",
    tables=("cohorts", "percentiles", "agents", "branches", "dearest"),
    filters=("team", "workflow", "period"),
    words={},
    sections=(
        section(
            "workflows",
            "Cost per task by workflow",
            "Mean cost of a task, and the cost that half of the tasks, nine in ten and 99 in 100 do not exceed. The "
            "scale is logarithmic.",
            table="Tasks by workflow, with all digits",
        ),
        section(
            "outcomes",
            "What was spent on tasks that failed",
            "Cost by how the task ended, as its callers told. A cost per successful task holds the cost of those that "
            "failed.",
            table="Cost by outcome, with all digits",
        ),
        section(
            "releases",
            "Releases side by side",
            "Mean cost of a task by the release of the software that made its last call.",
            table="Tasks by release, with all digits",
        ),
        section(
            "agents",
            "Agents, and those that they call",
            "An agent's own calls, and those calls with all that they led to. Own costs add up to the bill; inclusive "
            "ones do not, since a call is in those of every agent above it. Days are UTC.",
            table="Agents, with all digits",
        ),
        section(
            "tree",
            "Who called whom",
            "Agents below the agent that called them, the dearest first, with what each branch costs: its own calls, "
            "and with all that goes on from them. Open and close a branch by its name. An agent that calls itself "
            "stays where it is; one that is called again by those below it stands there once more.",
            chart=False,
            more="Branches, with all digits",
        ),
        section(
            "dearest",
            "The dearest tasks",
            "<code>tollbook trace TASK</code> shows the calls, prices and rules behind one.",
            chart=False,
        ),
    ),
    scripts=("agent_tree.js", "tasks.js"),
)

HIDDEN_COST: Final = Page(
    file="hidden-cost.html",
    link="Hidden cost",
    title="What usage costs beside raw inference",
    about="Each cost is at one purpose, by the first rule that holds, and all of them sum to what usage costs. Costs "
    "are what calls cost by themselves.",
    tables=("hidden",),
    filters=("team", "workflow", "period"),
    words={
        "purposes": [
            {"purpose": purpose, "label": label, "meaning": meaning}
            for purpose, (label, meaning) in words.PURPOSES.items()
        ],
        "rules": dict(words.RULES),
        "by_tokens": words.BY_TOKENS,
    },
    sections=(
        section(
            "stack",
            "Raw inference, and what lies on top",
            "By billing period. What is written above a bar is the hidden cost in percent of raw inference.",
            table="Cost by month and purpose, with all digits",
        ),
        section(
            "purposes",
            "By purpose, with the rule behind each",
            "Shares are of raw inference. Published figures say that 40 to 60 % come on top of it.",
            chart=False,
        ),
        section(
            "bearers",
            "Where it hides",
            "Hidden cost in percent of raw inference, by workflow, the dearest first.",
            table="Hidden cost by workflow, with all digits",
        ),
    ),
    scripts=("hidden_cost.js",),
)

SUBSIDIES: Final = Page(
    file="subsidies.html",
    link="Subsidies",
    title="What seats and flat plans are worth",
    about="Usage under seats and flat plans at API prices, against the fees that are paid for it. Persons are "
    "pseudonyms. Shown as it is known now, of closed periods too.",
    tables=("plans", "persons", "curves"),
    filters=("subscription", "period"),
    words={},
    sections=(
        section(
            "plans",
            "At API prices, and by the plan",
            "What the usage under each plan would cost if it were metered at list prices, and its fees.",
            table="Plans, with all digits",
        ),
        section(
            "terms",
            "If it became metered",
            "<em>Own terms</em>: fees, and what the plan charges beyond what it covers. <em>Cheapest mix</em>: each "
            "person on the plan on offer that costs least for what was used.",
            chart=False,
        ),
        section(
            "curves",
            "Who uses it",
            "Lorenz curve: what share of the usage the persons up to a share have, the smallest first; on the diagonal "
            "all would use the same. Of the newest period that is chosen.",
            table="Concentration by plan",
        ),
        section("persons", "Who uses most", "The largest users of each period.", chart=False),
    ),
    scripts=("lorenz.js", "subsidies.js"),
)

MARGINS: Final = Page(
    file="margins.html",
    link="Margins",
    title="What AI takes from the margin",
    about="Effective cost of the calls that served a product, against its revenue. A point of gross margin is a "
    "hundredth of the revenue. Shown as it is known now, of closed periods too.",
    tables=("margins",),
    filters=("product", "period"),
    words={"reasons": dict(words.REASONS)},
    sections=(
        section(
            "points",
            "Points of gross margin lost to AI",
            "By billing period and product, of products whose revenue is known.",
            table="Cost, revenue and points by month and product, with all digits",
        ),
        section(
            "customers",
            "By customer",
            "Where revenue is told by customer: those of the largest cost first.",
            chart=False,
        ),
        section(
            "apart", "Cost without points", "What has a cost and no margin to be held against, and why.", chart=False
        ),
    ),
    scripts=("margins.js",),
)

PAGES: Final = (BRIDGE, TASKS, HIDDEN_COST, SUBSIDIES, MARGINS, CONCENTRATION, FORECAST, PATHS)
"""The pages, in the order of their links; the first is where the site opens."""
