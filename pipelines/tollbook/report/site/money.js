// Amounts: whole pico-units (a millionth of a millionth of the currency) as BigInt; rounded only to be read.
"use strict";
const Money = (() => {
  const PICO = 10n ** 12n;
  const UNKNOWN = "unknown";

  const abs = (amount) => (amount < 0n ? -amount : amount);

  // Returns a quotient rounded half to even; the divisor is above zero.
  function divided(amount, by) {
    const whole = amount / by;
    const left = abs(amount % by) * 2n;
    if (left < by || (left === by && whole % 2n === 0n)) return whole;
    return whole + (amount < 0n ? -1n : 1n);
  }

  const grouped = (digits) => String(digits).replace(/\B(?=(\d{3})+(?!\d))/g, ",");

  function sum(amounts) {
    let known = null;
    for (const amount of amounts) if (amount !== null) known = (known ?? 0n) + amount;
    return known;
  }

  const mark = (currency) => (currency === "USD" ? "$" : `${currency}\u00a0`);

  // Two decimals, or two figures where it is below ten cents and `fine`.
  function shown(amount, currency, fine) {
    const size = abs(amount);
    let places = 2;
    if (fine && size > 0n && size < PICO / 10n) {
      places = Math.min(12, 13 - String(size).length + 1);
    } else if (size > 0n && size < PICO / 200n) {
      return `<${mark(currency)}0.01`;
    }
    const unit = 10n ** BigInt(12 - places);
    const digits = String(divided(size, unit)).padStart(places + 1, "0");
    return `${mark(currency)}${grouped(digits.slice(0, -places))}.${digits.slice(-places)}`;
  }

  function plain(amount, currency, fine = false) {
    if (amount === null) return UNKNOWN;
    return `${amount < 0n ? "−" : ""}${shown(amount, currency, fine)}`;
  }

  // In whole units where it has a hundred or more.
  function rough(amount, currency) {
    if (amount === null || abs(amount) < 100n * PICO) return plain(amount, currency);
    return plain(divided(amount, PICO) * PICO, currency).replace(/\.00$/, "");
  }

  function signed(amount, currency) {
    if (amount === null) return UNKNOWN;
    return `${amount < 0n ? "−" : amount > 0n ? "+" : ""}${shown(amount, currency, false)}`;
  }

  // Every digit that the amount has, two at least.
  function exact(amount) {
    if (amount === null) return UNKNOWN;
    const digits = String(abs(amount)).padStart(13, "0");
    const decimals = digits.slice(-12).replace(/0{1,10}$/, "");
    return `${amount < 0n ? "−" : ""}${grouped(digits.slice(0, -12))}.${decimals}`;
  }

  // What each of `count` costs, rounded half to even to a pico-unit.
  const each = (amount, count) => (amount === null || !count ? null : divided(amount, BigInt(count)));

  // A part in percent: tenths below ten percent.
  function percent(part, of, isSigned = false) {
    if (part === null || of === null || of <= 0n) return "–";
    const tenths = divided(part * 1000n, of);
    const size = abs(tenths);
    const sign = tenths < 0n ? "−" : isSigned && tenths > 0n ? "+" : "";
    if (size === 0n && part !== 0n) return `${part < 0n ? "−" : ""}<0.1 %`;
    if (size < 100n) return `${sign}${size / 10n}.${size % 10n} %`;
    return `${sign}${grouped(divided(abs(part) * 100n, of))} %`;
  }

  // By how much a number or an amount changed, null where it cannot be said.
  function change(now, before) {
    if (now === null || before === null || Number(before) === 0) return null;
    const rounded = Math.round((Number(now) / Number(before) - 1) * 100);
    if (rounded >= 200) return `×${(Number(now) / Number(before)).toFixed(1)}`;
    return rounded === 0 ? "±0 %" : `${rounded > 0 ? "+" : "−"}${grouped(Math.abs(rounded))} %`;
  }

  // A count in three figures: 4.43 B, 186 k, 912.
  function short(count) {
    if (count === null) return UNKNOWN;
    for (const [scale, letter] of [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"]]) {
      if (count >= scale) return `${(count / scale).toPrecision(3).replace(/e\+\d+$/, "")} ${letter}`;
    }
    return Number.isInteger(count) ? String(count) : count.toPrecision(3);
  }

  const whole = (count) => (count === null ? UNKNOWN : grouped(count));

  // Where a mark is drawn: the one place in which an amount becomes a float.
  const place = (amount) => (amount === null ? null : Number(amount) / 1e12);

  return { abs, change, each, exact, mark, percent, place, plain, rough, short, signed, sum, whole };
})();
