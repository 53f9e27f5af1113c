// The bridge in a sentence: how much the bill changed, and what each question that its effects answer did to it.
"use strict";
const BridgeWords = (() => {
  const { name } = Elements;
  const { effects, groups } = Book.words;

  const went = (amount) => (amount < 0n ? "took off" : "added");
  const upper = (text) => `${text[0].toUpperCase()}${text.slice(1)}`;

  // Sum of the effects that answer a question, or of one of them.
  function effectSum(rows, group, only = null) {
    const of = effects.filter((each) => each.group === group && (only === null || each.effect === only));
    return Book.amount(rows.filter((row) => of.some((each) => each.effect === row.effect)), "cost") ?? 0n;
  }

  // Returns the sentence for `lead`.
  //
  // Effects are worked out workflow by workflow and weigh by cost, so one can point the other way than the number over
  // all workflows that stands beside it: where it does, the sentence says so.
  function sentence(state, before, after, rows, sharedTasks) {
    const [from, to] = [Book.periods[state.before].label, Book.periods[state.after].label];
    const change = (after.cost ?? 0n) - (before.cost ?? 0n);
    const of = Filters.whose();
    const bill = ["the bill", ...(of ? [" of ", name(of)] : [])];
    const money = (amount) => Money.plain(Money.abs(amount), state.currency);
    const [first, last] = [before, after].map((each) => Money.plain(each.cost ?? 0n, state.currency));
    if (change === 0n) return [`From ${from} to ${to} `, ...bill, ` stayed at ${money(after.cost ?? 0n)}.`];
    const percent = before.cost > 0n ? ` (${Money.percent(change, before.cost, true)})` : "";
    const parts = Object.entries(groups)
      .map(([group, told]) => [group, told, effectSum(rows, group)])
      .filter(([, , amount]) => amount !== 0n)
      .map(([group, told, amount]) => {
        const asides = [mostly(state, rows, group), beside(group, amount, before, after, sharedTasks)];
        const said = asides.filter((each) => each).join("; ");
        return `${told} ${went(amount)} ${money(amount)}${said && ` (${said})`}`;
      });
    const joined = parts.length > 1 ? `${parts.slice(0, -1).join(", ")}, and ${parts.at(-1)}` : parts.join("");
    const because = joined ? ` ${upper(joined)}.` : "";
    const ends = `, from ${first} to ${last}${although(change, before, after)}.`;
    return [`From ${from} to ${to} `, ...bill, ` ${change > 0n ? "rose" : "fell"} by ${money(change)}${percent}${ends}`,
      because];
  }

  // Says so where the average token went the other way than the bill.
  function although(change, before, after) {
    if (before.perMillion === null || after.perMillion === null) return "";
    const more = after.perMillion - before.perMillion;
    if (!more || before.perMillion <= 0n || more > 0n === change > 0n) return "";
    return `, though a token became ${Money.percent(Money.abs(more), before.perMillion)} ${more > 0n ? "dearer"
      : "cheaper"}`;
  }

  // Names the largest effect of a question, where it has several.
  function mostly(state, rows, group) {
    const sums = effects
      .filter((each) => each.group === group)
      .map((each) => [each.label, effectSum(rows, group, each.effect)])
      .filter(([, amount]) => amount !== 0n);
    if (sums.length < 2) return "";
    const [[label, amount]] = Book.ranked(sums, ([, of]) => Money.abs(of));
    return `${label.toLowerCase()}: ${Money.signed(amount, state.currency)}`;
  }

  // What is to be said where the number over all workflows did not go the way of the effect.
  function beside(group, amount, before, after, sharedTasks) {
    const isUp = amount > 0n;
    const goesAlong = (then, now) => then === null || now === null || (isUp ? now > then : now < then);
    if (group === "tasks" && !goesAlong(before.tasks, after.tasks)) {
      const inAll = after.tasks === before.tasks ? "as many" : isUp ? "fewer" : "more";
      const where = goesAlong(...sharedTasks) ? "in workflows that both months have" : "where a task costs much";
      return `${inAll} in all, but ${isUp ? "more" : "fewer"} ${where}`;
    }
    if (group === "tokens_per_task" && !goesAlong(before.perTask, after.perTask)) {
      return `though over all workflows the average task took ${isUp ? "no more" : "no fewer"}`;
    }
    if (group === "unit_cost" && !goesAlong(before.perMillion, after.perMillion)) {
      return `though over all workflows the average token became no ${isUp ? "dearer" : "cheaper"}`;
    }
    return "";
  }

  return { effectSum, sentence, upper };
})();
