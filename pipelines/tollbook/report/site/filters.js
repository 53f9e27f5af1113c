// What is chosen: team, workflow, period or two of them. It stands in the address, so that a link shows the same.
"use strict";
const Filters = (() => {
  const { byId, el } = Elements;
  const named = Object.keys(Book.named);
  const ALL = "";
  const selects = {};

  // The two newest periods that are over; where there are not two, the two newest.
  function usualPair() {
    const places = Book.periods.map((_, at) => at);
    const over = places.filter((at) => Book.periods[at].is_over);
    const of = over.length > 1 ? over : places;
    return [of.at(-2) ?? null, of.at(-1) ?? null];
  }

  function nothingChosen() {
    const [before, after] = usualPair();
    const all = Object.fromEntries(named.map((each) => [each, null]));
    return { ...all, currency: Book.currencies[0] ?? "USD", period: null, before, after };
  }

  let state = nothingChosen();

  const placed = (list, value) => (list.indexOf(value) < 0 ? null : list.indexOf(value));
  const months = Book.periods.map((each) => each.start.slice(0, 7));

  // Returns what an address says; what it does not say, or says wrongly, is as usual.
  function read() {
    const told = new URLSearchParams(location.hash.slice(1));
    const usual = nothingChosen();
    const chosen = {
      ...Object.fromEntries(named.map((each) => [each, placed(Book.named[each], told.get(each))])),
      currency: Book.currencies.includes(told.get("currency")) ? told.get("currency") : usual.currency,
      period: placed(months, told.get("period")),
      before: placed(months, told.get("from")) ?? usual.before,
      after: placed(months, told.get("to")) ?? usual.after,
    };
    if (chosen.workflow !== null && !workflowsOf(chosen.team).includes(chosen.workflow)) chosen.workflow = null;
    return chosen;
  }

  function address() {
    const told = new URLSearchParams();
    const usual = nothingChosen();
    for (const each of named) if (state[each] !== null) told.set(each, Book.named[each][state[each]]);
    if (state.currency !== usual.currency) told.set("currency", state.currency);
    if (state.period !== null) told.set("period", months[state.period]);
    if (state.before !== usual.before) told.set("from", months[state.before]);
    if (state.after !== usual.after) told.set("to", months[state.after]);
    return String(told);
  }

  const workflowsOf = (team) => [
    ...new Set(Book.cells.filter(([of]) => team === null || of === team).map(([, workflow]) => workflow)),
  ].sort((one, other) => one - other);

  function select(name, text, options, value) {
    const made = el("select", { id: `choose-${name}`, name },
      options.map(([of, shown]) => el("option", { value: of === null ? ALL : of }, shown)));
    made.value = value === null ? ALL : value;
    made.addEventListener("change", () => choose(name, made.value === ALL ? null : made.value));
    selects[name] = made;
    return el("div", {}, el("label", { for: `choose-${name}` }, text), made);
  }

  function choose(name, value) {
    state = { ...state, [name]: name === "currency" ? value : value === null ? null : Number(value) };
    if (name === "team" && !workflowsOf(state.team).includes(state.workflow)) state.workflow = null;
    const next = address();
    if (location.hash.slice(1) !== next) location.hash = next;
    show();
    selects[name].focus({ preventScroll: true });
  }

  function options(name) {
    const by = (list) => (at) => [at, list[at]];
    const places = (list) => list.map((_, at) => at);
    const months = Book.periods.map((each, at) => [at, each.is_over ? each.label : `${each.label} (not over)`]);
    if (name === "before" || name === "after") return months;
    if (name === "period") return [[null, "All periods"], ...months];
    const shown = name === "workflow" ? workflowsOf(state.team) : places(Book.named[name]);
    return [[null, `All ${name}s`], ...shown.map(by(Book.named[name]))];
  }

  const LABELS = { before: "From", after: "To" };

  function controls() {
    const made = Book.filters.map((name) =>
      select(name, LABELS[name] ?? `${name[0].toUpperCase()}${name.slice(1)}`, options(name), state[name]));
    if (Book.currencies.length > 1) {
      made.push(select("currency", "Currency", Book.currencies.map((of) => [of, of]), state.currency));
    }
    const reset = el("button", { type: "reset" }, "Show all");
    reset.addEventListener("click", (event) => {
      event.preventDefault();
      state = nothingChosen();
      location.hash = "";
      show();
      byId("filters").querySelector("button").focus({ preventScroll: true });
    });
    made.push(reset);
    byId("filters").replaceChildren(...made);
  }

  // Links to the other pages show the same there.
  function links() {
    for (const link of document.querySelectorAll("nav a")) {
      const told = address();
      link.setAttribute("href", link.getAttribute("href").replace(/#.*$/, "") + (told && `#${told}`));
    }
  }

  let draw = () => {};

  function show() {
    controls();
    links();
    draw(state);
  }

  // Shows what the address says, now and whenever it changes.
  function start(drawPage) {
    draw = drawPage;
    state = read();
    byId("filters").addEventListener("submit", (event) => event.preventDefault());
    addEventListener("hashchange", () => {
      if (location.hash.slice(1) === address()) return;
      state = read();
      show();
    });
    Theme.keepDrawn(show);
  }

  // Says in words whose usage is shown.
  function whose() {
    const chosen = named.filter((each) => Book.filters.includes(each) && state[each] !== null);
    return chosen.map((each) => Book.named[each][state[each]]).join(", ");
  }

  return { start, whose };
})();
