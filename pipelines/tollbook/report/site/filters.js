// What is chosen: team, workflow, period or two of them. It stands in the address, so that a link shows the same.
"use strict";
const Filters = (() => {
  const { byId, el } = Elements;
  const isPair = Book.chooses === "pair";
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
    return { team: null, workflow: null, currency: Book.currencies[0] ?? "USD", period: null, before, after };
  }

  let state = nothingChosen();

  const placed = (list, value) => (list.indexOf(value) < 0 ? null : list.indexOf(value));
  const months = Book.periods.map((each) => each.start.slice(0, 7));

  // Returns what an address says; what it does not say, or says wrongly, is as usual.
  function read() {
    const told = new URLSearchParams(location.hash.slice(1));
    const usual = nothingChosen();
    const chosen = {
      team: placed(Book.teams, told.get("team")),
      workflow: placed(Book.workflows, told.get("workflow")),
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
    if (state.team !== null) told.set("team", Book.teams[state.team]);
    if (state.workflow !== null) told.set("workflow", Book.workflows[state.workflow]);
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

  function controls() {
    const named = (list) => (at) => [at, list[at]];
    const each = Book.periods.map((period, at) => [at, period.is_over ? period.label : `${period.label} (not over)`]);
    const made = [
      select("team", "Team", [[null, "All teams"], ...Book.teams.map((_, at) => at).map(named(Book.teams))], state.team),
      select("workflow", "Workflow",
        [[null, "All workflows"], ...workflowsOf(state.team).map(named(Book.workflows))], state.workflow),
    ];
    if (isPair) {
      made.push(select("before", "From", each, state.before), select("after", "To", each, state.after));
    } else {
      made.push(select("period", "Period", [[null, "All periods"], ...each], state.period));
    }
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
    const of = [];
    if (state.team !== null) of.push(Book.teams[state.team]);
    if (state.workflow !== null) of.push(Book.workflows[state.workflow]);
    return of.join(", ");
  }

  return { start, whose };
})();
