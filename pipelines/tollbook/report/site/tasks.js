// What a task costs: by workflow, by how it ended, by release, by agent.
"use strict";
(() => {
  const { bearer, chart, el, fill, key, name, rowsFigure, table, tile, workflowLabels } = Elements;
  const MOST_BARS = 12;
  const MOST_RELEASES = 18;
  const MOST_AGENTS = 15;
  const MOST_TASKS = 10;
  const { amount, count } = Book;

  const priced = (rows) => count(rows, "priced_tasks");
  const perTask = (rows) => Money.each(amount(rows, "cost"), priced(rows));
  const perSuccess = (rows) => Money.each(amount(rows, "cost"), count(rows, "priced_succeeded_tasks"));
  const cell = (row) => `${row.team} ${row.workflow}`;
  const workflow = (row) => Book.workflows[row.workflow];
  const bounded = (value, low) => (value === null ? null : Math.max(Money.place(value), low));

  // Percentiles cannot be added: there is a row for each choice, null where all are chosen.
  const percentiles = (currency, period, team, of) =>
    Book.tables.percentiles.find((row) =>
      row.currency === currency && row.period === period && row.team === team && row.workflow === of);

  function summary(state, rows) {
    const of = percentiles(state.currency, state.period, state.team, state.workflow);
    const [cost, failed, succeeded] = ["cost", "failed_cost", "succeeded_cost"].map((field) => amount(rows, field));
    const unjudged = Money.percent(amount(rows, "unjudged_cost") ?? 0n, cost);
    const judged = count(rows, "succeeded_tasks") + count(rows, "failed_tasks");
    const money = (each) => Money.plain(each, state.currency, true);
    fill("tiles",
      tile("Cost of a task, mean", money(perTask(rows)), `${Money.whole(count(rows, "tasks"))} tasks`),
      tile("Cost per successful task", money(perSuccess(rows)),
        judged ? `${Money.whole(count(rows, "succeeded_tasks"))} succeeded` : "no call told an outcome"),
      tile("Spent on tasks that failed", judged ? Money.percent(failed ?? 0n, cost) : "unknown",
        judged ? `${Money.plain(failed ?? 0n, state.currency)}; ${unjudged} not judged`
          : "no call told an outcome"),
      tile("Half of the tasks cost at most", money(of?.p50 ?? null), of ? `99 in 100 at most ${money(of.p99)}` : ""));
    const whose = Filters.whose();
    const when = state.period === null ? "all periods" : Book.periods[state.period].label;
    const start = [`In ${when}, ${Money.whole(count(rows, "tasks"))} tasks`, ...(whose ? [" of ", name(whose)] : [])];
    if (!rows.length) return fill("lead", "No task began in what is chosen.");
    const mean = `cost ${money(perTask(rows))} each on average`;
    const share = Money.percent(failed ?? 0n, cost);
    const end = judged && succeeded !== null
      ? `, ${money(perSuccess(rows))} for each that succeeded; ${share} was spent on tasks that failed.`
      : "; whether they succeeded was not told.";
    fill("lead", ...start, ` ${mean}${end}`);
    const unknown = count(rows, "tasks") - priced(rows);
    fill("unknown", unknown ? `Of ${Money.whole(unknown)} tasks the cost is not known whole: they are in no mean.`
      : "");
  }

  function workflows(state, groups) {
    const shown = groups.slice(0, MOST_BARS).map(([first, ...rest]) => {
      const rows = [first, ...rest];
      return { first, rows, of: percentiles(state.currency, state.period, first.team, first.workflow) };
    });
    const drawn = shown.filter((each) => each.of);
    const marks = [["p50", "half", "circle", 0], ["p90", "9 in 10", "square", 1], ["p99", "99 in 100", "diamond", 2]];
    const values = drawn.flatMap((each) => [each.of.p50, each.of.p99]).filter((each) => each > 0n).map(Money.place);
    const low = values.length ? Math.min(...values) / 2 : 0.000001;
    const money = (each) => Money.plain(each, state.currency, true);
    const figure = rowsFigure(workflowLabels(drawn.map((each) => each.first)), [
      ...drawn.map((each, at) => ({
        type: "scatter", mode: "lines", x: [bounded(each.of.p50, low), bounded(each.of.p99, low)], y: [at, at],
        line: { color: Theme.colour("--soft"), width: 1.5 }, hoverinfo: "skip",
      })),
      ...marks.map(([field, text, symbol, at]) => ({
        type: "scatter", mode: "markers", name: text, x: drawn.map((each) => bounded(each.of[field], low)),
        marker: { symbol, size: 11, color: Elements.series(at) },
        customdata: drawn.map((each) => money(each.of[field])),
        hovertemplate: "%{fullData.name}: %{customdata}<extra></extra>",
      })),
      {
        type: "scatter", mode: "markers", name: "mean", x: drawn.map((each) => bounded(perTask(each.rows), low)),
        marker: { symbol: "line-ns-open", size: 16, color: Theme.colour("--ink"), line: { width: 3 } },
        customdata: drawn.map((each) => money(perTask(each.rows))), hovertemplate: "mean: %{customdata}<extra></extra>",
      },
    ], { axis: { type: "log", tickprefix: Money.mark(state.currency), dtick: Theme.isPhone() ? 2 : 1, tickformat: "~r",
      tickangle: 0 },
      right: 18 });
    chart("workflows", drawn.length ? figure : null);
    key("workflows", [...marks.map(([, text, , at]) => [text, Elements.series(at)]), ["mean", Theme.colour("--ink")]]);
    const exact = (each) => Money.exact(each ?? null);
    fill("table-workflows", table("Tasks by workflow",
      ["Team, workflow", "#Tasks", "#Calls per task", "#Tokens per task", "#Cost per task", "#Per successful task",
        "#Half", "#9 in 10", "#99 in 100", "#Largest"],
      groups.map((rows) => {
        const of = percentiles(state.currency, state.period, rows[0].team, rows[0].workflow);
        const tasks = count(rows, "tasks");
        return [bearer(rows[0]), Money.whole(tasks), (count(rows, "calls") / tasks).toFixed(1),
          Money.short(Math.round(count(rows, "tokens") / tasks)), exact(perTask(rows)), exact(perSuccess(rows)),
          exact(of?.p50), exact(of?.p90), exact(of?.p99), exact(of?.largest)];
      })));
  }

  const OUTCOMES = [["succeeded_cost", "succeeded", "--down"], ["failed_cost", "failed or abandoned", "--up"],
    ["unjudged_cost", "not told", "--rest"]];

  function outcomes(state, groups) {
    const shown = groups.slice(0, MOST_BARS);
    const money = (each) => Money.plain(each ?? 0n, state.currency);
    const costs = shown.map((rows) => amount(rows, "cost"));
    chart("outcomes", shown.length ? rowsFigure(workflowLabels(shown.map((rows) => rows[0])), [
      ...OUTCOMES.map(([field, text, colour]) => ({
        name: text, x: shown.map((rows) => Money.place(amount(rows, field))), marker: { color: Theme.colour(colour) },
        customdata: shown.map((rows) => money(amount(rows, field))),
        hovertemplate: "%{fullData.name}: %{customdata}<extra></extra>",
      })),
      { type: "scatter", mode: "text", x: costs.map(Money.place), text: costs.map((each) => ` ${money(each)}`),
        textposition: "middle right", hoverinfo: "skip" },
    ]) : null);
    key("outcomes", OUTCOMES.map(([, text, colour]) => [text, Theme.colour(colour)]));
    const exact = (rows, field) => Money.exact(amount(rows, field) ?? 0n);
    const line = (rows, first) => [first, Money.whole(count(rows, "succeeded_tasks")),
      Money.whole(count(rows, "failed_tasks")),
      ...OUTCOMES.map(([field]) => exact(rows, field)), exact(rows, "cost"),
      Money.percent(amount(rows, "failed_cost") ?? 0n, amount(rows, "cost"))];
    fill("table-outcomes", table("Cost by outcome",
      ["Team, workflow", "#Succeeded", "#Failed", "#Cost of succeeded", "#Of failed", "#Of not told", "#All",
        "#Share of failed"],
      groups.map((rows) => line(rows, bearer(rows[0]))), line(groups.flat(), "All")));
  }

  function releases(state, rows) {
    const by = [...Book.grouped(rows, (row) => `${cell(row)} ${row.release}`).values()];
    const dearest = Book.ranked([...Book.grouped(by, (of) => cell(of[0])).values()], (of) => amount(of.flat(), "cost"));
    const ordered = dearest.flatMap((of) => of.sort((one, other) => (one[0].release < other[0].release ? -1 : 1)));
    const shown = ordered.slice(0, MOST_RELEASES);
    const cells = [...new Set(shown.map((of) => cell(of[0])))];
    const money = (each) => Money.plain(each, state.currency, true);
    chart("releases", shown.length ? rowsFigure(shown.map((of) => `${workflow(of[0])} ${of[0].release}`), [{
      x: shown.map((of) => Money.place(perTask(of))), text: shown.map((of) => money(perTask(of))),
      textposition: "outside",
      marker: { color: shown.map((of) => (cells.indexOf(cell(of[0])) % 2 ? Elements.series(1) : Elements.series(0))) },
      customdata: shown.map((of) => Money.whole(count(of, "tasks"))),
      hovertemplate: "%{text} a task, %{customdata} tasks<extra></extra>",
    }]) : null);
    fill("table-releases", table("Tasks by release",
      ["Team, workflow", "Release", "#Tasks", "#Failed", "#Retries", "#Tokens per task", "#Cost per task",
        "#Per successful task", "#Cost"],
      ordered.map((of) => [bearer(of[0]), name(of[0].release), Money.whole(count(of, "tasks")),
        Money.whole(count(of, "failed_tasks")), Money.whole(count(of, "retries")),
        Money.short(Math.round(count(of, "tokens") / count(of, "tasks"))), Money.exact(perTask(of)),
        Money.exact(perSuccess(of)),
        Money.exact(amount(of, "cost"))])));
  }

  function agents(state) {
    const by = [...Book.grouped(Book.chosen("agents", state, state.period),
      (row) => `${cell(row)} ${row.agent}`).values()];
    const shown = Book.ranked(by, (rows) => amount(rows, "inclusive_cost")).slice(0, MOST_AGENTS);
    const money = (each) => Money.plain(each ?? 0n, state.currency);
    const below = (rows) => (amount(rows, "inclusive_cost") ?? 0n) - (amount(rows, "cost") ?? 0n);
    chart("agents", shown.length ? rowsFigure(shown.map((rows) => `${rows[0].agent}, ${workflow(rows[0])}`), [
      { name: "own calls", x: shown.map((rows) => Money.place(amount(rows, "cost"))),
        marker: { color: Elements.series(0) },
        customdata: shown.map((rows) => money(amount(rows, "cost"))),
        hovertemplate: "own calls: %{customdata}<extra></extra>" },
      { name: "calls below", x: shown.map((rows) => Money.place(below(rows))), marker: { color: Elements.series(1) },
        customdata: shown.map((rows) => money(below(rows))),
        hovertemplate: "agents below: %{customdata}<extra></extra>" },
      { type: "scatter", mode: "text", x: shown.map((rows) => Money.place(amount(rows, "inclusive_cost"))),
        text: shown.map((rows) => ` ${money(amount(rows, "inclusive_cost"))}`), textposition: "middle right",
        hoverinfo: "skip" },
    ]) : null);
    key("agents", [["own calls", Elements.series(0)], ["agents that it called", Elements.series(1)]]);
    fill("table-agents", table("Agents",
      ["Team, workflow", "Agent", "#Own calls", "#With those below", "#Unpriced", "#Own cost", "#Inclusive cost"],
      shown.map((rows) => [bearer(rows[0]), name(rows[0].agent), Money.whole(count(rows, "calls")),
        Money.whole(count(rows, "inclusive_calls")), Money.whole(count(rows, "unpriced_calls")),
        Money.exact(amount(rows, "cost")),
        Money.exact(amount(rows, "inclusive_cost"))])));
  }

  function dearest(state) {
    const rows = Book.chosen("dearest", state, state.period).slice(0, MOST_TASKS);
    fill("table-dearest", table("The dearest tasks",
      ["Task", "Team, workflow", "Release", "Outcome", "Began, UTC", "#Calls", "#Agents", "#Depth", "#Tokens", "#Cost"],
      rows.map((row) => [el("span", { class: "mono" }, name(row.task_id)), bearer(row), name(row.release ?? "unknown"),
        name(row.outcome), row.began, Money.whole(row.calls), Money.whole(row.agents), Money.whole(row.depth),
        Money.short(row.tokens),
        Money.plain(row.cost, state.currency)])));
  }

  Filters.start((state) => {
    const rows = Book.chosen("cohorts", state, state.period);
    const groups = Book.ranked([...Book.grouped(rows, cell).values()], (of) => amount(of, "cost"));
    summary(state, rows);
    workflows(state, groups);
    outcomes(state, groups);
    releases(state, rows);
    agents(state);
    AgentTree.draw(state);
    dearest(state);
  });
})();
