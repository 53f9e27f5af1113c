// Where inference should run: each workload on each path, and from which volume on another path is cheaper.
"use strict";
(() => {
  const { chart, el, fill, key, name, rowsFigure, table, tile } = Elements;
  const { colour, order, path } = PathsVolume;
  const { excluded, caveats, kinds } = Book.words;
  const MOST_BARS = 12;
  const SYMBOLS = ["circle", "square", "diamond", "cross", "triangle-up"];

  const workload = (row) => Book.workloads[row.workload];
  const byOrder = (rows) => [...rows].sort((one, other) => order.indexOf(one.path) - order.indexOf(other.path));
  const cheapest = (rows) => rows.find((row) => row.is_cheapest) ?? null;

  // What is paid beyond the cheapest path, of workloads whose cost is known.
  function saved(groups) {
    return Money.sum(groups.map((rows) => {
      const best = cheapest(rows);
      return best === null || rows[0].workload_cost === null ? null : rows[0].workload_cost - best.cost;
    }).filter((each) => each !== null && each > 0n));
  }

  function summary(state, groups, period) {
    const money = (each) => Money.plain(each, state.currency);
    if (!groups.length) {
      fill("lead", "No workload was used in what is chosen.");
      for (const id of ["unknown", "tiles"]) fill(id);
      return;
    }
    const when = Book.periods[period].label;
    const now = Money.sum(groups.map((rows) => rows[0].workload_cost));
    const elsewhere = groups.filter((rows) => {
      const best = cheapest(rows);
      return best !== null && best.kind !== "observed";
    });
    const less = saved(groups);
    const known = groups.filter((rows) => rows.some((row) => row.offer !== null));
    const first = [`In ${when}, `, ...(state.workload === null ? ["all workloads"] : [name(workload(groups[0][0]))]),
      ` cost ${money(now)}. `];
    if (!known.length) {
      fill("lead", ...first, "No offer of another path is told, so there is nothing to hold that against: ",
        "offers are reference data of the kind ", el("code", {}, "inference_paths"), ".");
    } else if (groups.length === 1) {
      const best = cheapest(groups[0]);
      fill("lead", ...first, best === null ? "No path has a known cost."
        : best.kind === "observed" ? "No offer costs less than what is paid."
          : `The cheapest path that is known is ${path(best).toLowerCase()}, at ${money(best.cost)}.`);
    } else {
      fill("lead", ...first, `${Money.whole(elsewhere.length)} of ${Money.whole(groups.length)} workloads would cost less `,
        `by another offer: ${money(less ?? 0n)} less in all.`);
    }
    const told = [...new Set(groups.flat().flatMap((row) => (row.cost === null ? [] : (row.caveats ?? "").split(", "))))]
      .filter((each) => each);
    fill("unknown", told.length ? `To keep in mind: ${told.map((each) => caveats[each] ?? each).join("; ")}.` : "");
    const ruled = groups.flat().filter((row) => row.excluded === "residency").length;
    fill("tiles",
      tile("As it was bought", money(now), when),
      tile("Less on the cheapest paths", less === null ? "–" : money(less), Money.percent(less, now)),
      tile("Cheaper by another offer", `${elsewhere.length} of ${groups.length}`, "workloads"),
      tile("Ruled out by residency", Money.whole(ruled), "paths of workloads"));
  }

  function unit(state, groups) {
    const shown = groups.slice(0, MOST_BARS);
    const values = shown.flat().filter((row) => row.per_million !== null && row.per_million > 0n)
      .map((row) => Money.place(row.per_million));
    const met = order.filter((each) => shown.flat().some((row) => row.path === each && row.per_million !== null));
    const at = (rows, each) => rows.find((row) => row.path === each);
    const place = (rows, each) => {
      const row = at(rows, each);
      return row && row.per_million !== null && row.per_million > 0n ? Money.place(row.per_million) : null;
    };
    chart("unit", values.length ? rowsFigure(shown.map((rows) => workload(rows[0])), met.map((each) => ({
      type: "scatter", mode: "markers", name: Elements.label(path({ path: each })), x: shown.map((rows) => place(rows, each)),
      marker: { symbol: SYMBOLS[order.indexOf(each)], size: 12, color: colour({ path: each }) },
      customdata: shown.map((rows) => (at(rows, each) ? Money.plain(at(rows, each).per_million, state.currency, true) : "")),
      hovertemplate: "%{fullData.name}: %{customdata} per 1 M<extra></extra>",
    })), { axis: { type: "log", tickprefix: Money.mark(state.currency), dtick: Theme.isPhone() ? 2 : 1, tickformat: "~r",
      tickangle: 0 }, right: 18 }) : null);
    key("unit", values.length ? met.map((each) => [path({ path: each }), colour({ path: each })]) : []);
    fill("table-unit", table("By workload and path",
      ["Workload", "Path", "By", "#Cost", "#Per 1 M tokens", "#Per task", "#Cheapest", "~Why not"],
      groups.flatMap((rows) => byOrder(rows).map((row) => [name(workload(row)), path(row),
        row.cost === null ? "–" : name(row.offer ?? kinds[row.kind] ?? row.kind),
        row.cost === null ? "–" : Money.exact(row.cost), row.per_million === null ? "–" : Money.exact(row.per_million),
        row.per_task === null ? "–" : Money.exact(row.per_task), row.is_cheapest ? "yes" : "",
        excluded[row.excluded] ?? row.excluded ?? ""]))));
  }

  function sources(state, groups) {
    const rows = [...new Map(groups.flat().filter((row) => row.offer !== null && row.cost !== null)
      .map((row) => [`${row.offer} ${row.served_model} ${row.throughput_source}`, row])).values()];
    const said = (row) => (row.caveats ?? "").split(", ").filter((each) => each).map((each) => caveats[each] ?? each);
    fill("table-sources", table("What it rests on",
      ["Offer", "Path", "Vendor", "Instance", "Model", "#An hour", "~Price read at", "~Throughput by", "~To keep in mind"],
      rows.map((row) => [name(row.offer), path(row), name(row.vendor ?? "unknown"), name(row.instance ?? "–"),
        name(row.served_model ?? "–"),
        row.instance_hourly_cost === null ? "–" : Money.plain(row.instance_hourly_cost, state.currency, true),
        name([row.price_source ?? "unknown", row.price_observed_on].filter((each) => each).join(", ")),
        name(row.throughput_source ?? "–"), said(row).join("; ")])));
  }

  Filters.start((state) => {
    const every = Book.chosen("paths", state, state.period);
    const newest = Math.max(...every.map((row) => row.period));
    const rows = every.filter((row) => row.period === newest);
    const groups = Book.ranked([...Book.grouped(rows, (row) => row.workload).values()], (some) => some[0].workload_cost);
    summary(state, groups, newest);
    unit(state, groups);
    // One workload: the chosen one, or else the dearest that whole instances could serve.
    const able = groups.find((some) => some.some((row) => row.instances !== null)) ?? groups[0] ?? [];
    fill("of-volume", able.length ? ["Drawn for ", name(workload(able[0])), "."] : "");
    PathsVolume.draw(state, byOrder(able));
    sources(state, groups);
  });
})();
