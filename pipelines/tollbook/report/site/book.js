// What the page holds: rows of sums by period, team and workflow, to be filtered and added.
"use strict";
const Book = (() => {
  const held = JSON.parse(document.getElementById("book").textContent);

  // What can be chosen by name, and its names.
  const named = {
    team: held.teams, workflow: held.workflows, subscription: held.subscriptions, product: held.products,
    workload: held.workloads, month: held.months,
  };

  // Returns the rows of a table as objects; amounts are BigInt, or null where unknown.
  function rows(name) {
    const { fields, amounts, rows: told } = held.tables[name];
    const isAmount = fields.map((field) => amounts.includes(field));
    return told.map((values) =>
      Object.fromEntries(
        values.map((value, at) => [fields[at], isAmount[at] && value !== null ? BigInt(value) : value]),
      ),
    );
  }

  const tables = Object.fromEntries(Object.keys(held.tables).map((name) => [name, rows(name)]));
  const currencies = [...new Set(Object.values(tables).flatMap((each) => each.map((row) => row.currency)))]
    .filter((each) => each !== undefined && each !== null)
    .sort((one, other) => (other === "USD") - (one === "USD") || (one < other ? -1 : 1));

  // Groups rows by what a function says of them; keeps the order in which groups are met.
  function grouped(some, by) {
    const groups = new Map();
    for (const row of some) {
      const key = by(row);
      if (!groups.has(key)) groups.set(key, []);
      groups.get(key).push(row);
    }
    return groups;
  }

  const amount = (some, field) => Money.sum(some.map((row) => row[field]));
  const count = (some, field) => some.reduce((whole, row) => whole + (row[field] ?? 0), 0);

  // Rows of a table of what is chosen, as far as it has that; all periods unless one is given.
  function chosen(name, state, period = null) {
    return tables[name].filter(
      (row) =>
        (row.currency === undefined || row.currency === state.currency) &&
        Object.keys(named).every((of) => state[of] === null || row[of] === undefined || row[of] === state[of]) &&
        (period === null || row.period === period),
    );
  }

  // Sorts groups by an amount, the largest first, unknown last.
  function ranked(groups, of) {
    return [...groups]
      .map((each) => [each, of(each) ?? 0n])
      .sort(([, one], [, other]) => (one < other ? 1 : one > other ? -1 : 0))
      .map(([each]) => each);
  }

  const { periods, teams, workflows, subscriptions, products, workloads, months, cells, words, filters } = held;
  return {
    amount, cells, chosen, count, currencies, filters, grouped, months, named, periods, products, ranked, subscriptions,
    tables, teams, words, workflows, workloads,
  };
})();
