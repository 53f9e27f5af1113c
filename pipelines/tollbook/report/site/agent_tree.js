// Who called whom: agents below the agents that called them, with what each branch costs.
"use strict";
const AgentTree = (() => {
  const { bearer, el, fill, name, table } = Elements;
  const { amount, count } = Book;
  const MOST_OPEN = 2; // levels of the dearest workflow that stand open
  const MOST_TREES = 8;

  const at = (path) => JSON.stringify(path);
  const cell = (row) => `${row.team} ${row.workflow}`;

  // Builds the branches of one workflow: each a node with its sums and the nodes that go on from it.
  function grown(rows) {
    const nodes = new Map();
    const byPath = Book.grouped(rows, (row) => at(row.path));
    const node = (path) => {
      if (nodes.has(at(path))) return nodes.get(at(path));
      const of = byPath.get(at(path)) ?? [];
      const made = {
        path, below: [], isTold: of.length > 0, cost: amount(of, "cost"), whole: amount(of, "inclusive_cost"),
        calls: count(of, "calls"), allCalls: count(of, "inclusive_calls"), unpriced: count(of, "unpriced_calls"),
      };
      nodes.set(at(path), made);
      if (path.length > 1) node(path.slice(0, -1)).below.push(made);
      return made;
    };
    for (const [first] of byPath.values()) node(first.path);
    return [...nodes.values()].filter((each) => each.path.length === 1).map(summed);
  }

  // Gives a branch that another team's calls go on from, and that has none of its own here, the sums of those calls.
  function summed(node) {
    node.below = Book.ranked(node.below.map(summed), (each) => each.whole);
    if (!node.isTold) {
      node.whole = Money.sum(node.below.map((each) => each.whole));
      node.allCalls = node.below.reduce((sum, each) => sum + each.allCalls, 0);
    }
    return node;
  }

  // What goes on from a branch and is not shown, since there are very many.
  function unshown(node) {
    const shown = Money.sum([node.cost, ...node.below.map((each) => each.whole)]) ?? 0n;
    return (node.whole ?? 0n) - shown;
  }

  // What a branch costs beside its whole workflow: its own calls, and what they led to.
  function bar(own, whole, of, isWorkflow = false) {
    const width = (part) => (of > 0n && part !== null && part > 0n ? (100 * Money.place(part)) / Money.place(of) : 0);
    const part = (size, colour) => el("i", { style: `width:${size.toFixed(2)}%;background:${colour}` });
    if (isWorkflow) return el("span", { class: "bar", "aria-hidden": "true" }, part(width(whole), Elements.rest()));
    return el("span", { class: "bar", "aria-hidden": "true" }, part(width(own), Elements.series(0)),
      part(Math.max(0, width(whole) - width(own)), Elements.series(1)));
  }

  function line(shown, node, of, state) {
    const money = (each) => Money.plain(each, state.currency);
    const isWorkflow = !node.path.length;
    const more = [`${Money.whole(node.allCalls)} ${node.allCalls === 1 ? "call" : "calls"}`];
    if (!isWorkflow && node.below.length) more.unshift(`own ${money(node.cost ?? 0n)}`);
    if (node.unpriced) more.push(`${Money.whole(node.unpriced)} without a price`);
    return [el("span", { class: "who" }, shown), bar(node.cost, node.whole, of, isWorkflow),
      el("b", {}, money(node.whole)), el("span", { class: "soft" }, more.join(", "))];
  }

  const deep = (depth) => `--depth:${depth}`;

  function item(node, of, state, depth, isOpen, shown = name(node.path.at(-1))) {
    const left = unshown(node);
    const below = node.below.map((each) => item(each, of, state, depth + 1, isOpen));
    if (node.below.length && left !== 0n) {
      below.push(el("li", {}, el("div", { class: "branch", style: deep(depth + 1) },
        el("span", { class: "who" }, "other branches"),
        bar(null, left, of), el("b", {}, Money.plain(left, state.currency)))));
    }
    const look = { class: "branch", style: deep(depth) };
    if (!below.length) return el("li", {}, el("div", look, line(shown, node, of, state)));
    const open = (isOpen && depth < MOST_OPEN) || Theme.isOnPaper() ? "" : null;
    return el("li", {}, el("details", { open },
      el("summary", look, line(shown, node, of, state)), el("ul", {}, below)));
  }

  function draw(state) {
    const rows = Book.chosen("branches", state, state.period);
    const trees = [...Book.grouped(rows, cell).values()].map((of) => {
      const below = Book.ranked(grown(of), (each) => each.whole);
      const whole = Money.sum(below.map((each) => each.whole));
      return { first: of[0], below, whole, allCalls: below.reduce((sum, each) => sum + each.allCalls, 0) };
    });
    const dearest = Book.ranked(trees, (each) => each.whole);
    const shown = dearest.slice(0, MOST_TREES);
    const left = dearest.length - shown.length;
    const items = shown.map((tree, place) => {
      const unpriced = tree.below.reduce((sum, each) => sum + each.unpriced, 0);
      const isOne = tree.below.length === 1;
      const root = isOne ? tree.below[0] : { ...tree, path: [], cost: null, calls: 0, unpriced };
      const label = el("span", {}, bearer(tree.first), ...(isOne ? [": ", name(root.path[0])] : []));
      return item(root, tree.whole ?? 0n, state, 0, place === 0, label);
    });
    Elements.key("tree", items.length ? [["own calls", Elements.series(0)], ["agents that it called", Elements.series(1)],
      ["whole workflow", Elements.rest()]] : []);
    fill("table-tree", items.length
      ? el("ul", { class: "tree", "aria-label": "Workflows, and the agents in them" }, items)
      : el("p", { class: "none" }, "There are none."),
    left > 0 ? el("p", { class: "none" }, `${left} more workflows can be chosen above.`) : "");
    const exact = (some, field) => Money.exact(amount(some, field));
    const paths = Book.ranked([...Book.grouped(rows, (row) => `${cell(row)} ${at(row.path)}`).values()],
      (some) => amount(some, "inclusive_cost"));
    fill("table-tree-more", table("Branches",
      ["Branch", "Team, workflow", "#Own calls", "#With those below", "#Unpriced", "#Own cost", "#Inclusive cost"],
      paths.map((some) => [
        el("span", {}, some[0].path.flatMap((agent, place) => (place ? [" › ", name(agent)] : [name(agent)]))),
        bearer(some[0]), Money.whole(count(some, "calls")), Money.whole(count(some, "inclusive_calls")),
        Money.whole(count(some, "unpriced_calls")), exact(some, "cost"), exact(some, "inclusive_cost")])));
  }

  return { draw };
})();
