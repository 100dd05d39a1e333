"use strict";
// Draws with elements and their classes. Texts come from outside and are only set as text, never as markup.
const charts = (() => {
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  }

  // Like multimodal/formatting.py; Python rounds halves to the even number.
  function percent(share) {
    if (share > 0 && share < 0.005) return "<1%";
    if (share >= 0.995 && share < 1) return ">99%";
    const rounded = Math.round(100 * share);
    return (Math.abs((100 * share) % 1) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded) + "%";
  }

  function signed(value) {
    const text = Math.abs(value).toFixed(2);
    return (value < 0 && text !== "0.00" ? "−" : "+") + text;
  }

  // For any number of values; as arguments, some 100,000 would be too many.
  const largest = (values, least) => values.reduce((most, value) => Math.max(most, value), least);

  const isShare = (measure) => !["mean_valence", "mean_arousal"].includes(measure);
  const valueText = (measure, value) => (isShare(measure) ? percent(value) : signed(value));

  const signOf = (label) => (Object.hasOwn(page.data.signs, label) ? page.data.signs[label] : "·");

  function sign(label) {
    return make("i", { class: "sign " + label, "aria-hidden": "true" }, signOf(label));
  }

  function badge(label, note = "") {
    return make("span", { class: "badge" }, sign(label), label, note ? make("b", {}, " " + note) : null);
  }

  const LONG = 40;

  // A name from outside, clamped by the stylesheet, and isolated: its direction must not affect the text around it.
  function isolated(text, attributes = {}) {
    return make("bdi", { title: text.length > LONG ? text : null, ...attributes }, text);
  }

  // A name that links to the page of the input, or to a place in it, with an optional note after the name.
  function linked(row, text, place = "", note = "") {
    if (row.link === null) return make("span", { title: row.label }, isolated(text), note);
    return make("a", { href: row.link + place, title: row.label }, isolated(text), note);
  }

  function placed(element, left, width) {
    element.style.insetInlineStart = 100 * left + "%";
    if (width !== undefined) element.style.width = 100 * width + "%";
    return element;
  }

  // A mean with its interval, on a scale from low to high that is the same for the whole table.
  function meanCell(measure, [mean, low, high], [from, to]) {
    if (mean === null || mean === undefined) {
      return make("td", { class: "mean" }, make("span", { class: "muted", title: "nothing to judge" }, "–"));
    }
    const at = (value) => Math.min(Math.max((value - from) / (to - from), 0), 1);
    const plot = make("div", { class: "plot", "aria-hidden": "true" });
    if (isShare(measure)) {
      if (mean > 0) plot.append(placed(make("div", { class: "bar " + measure }), 0, at(mean)));
    } else {
      plot.append(placed(make("div", { class: "zero" }), at(0)), placed(make("div", { class: "dot" }), at(mean)));
    }
    const between = low === null || low === undefined ? null : [low, high];
    if (between !== null && high > low) plot.append(placed(make("div", { class: "whisker" }), at(low), at(high) - at(low)));
    const ends = between === null ? "no interval" : between.map((value) => valueText(measure, value)).join(" to ");
    const never = isShare(measure) && mean === 0;
    return make("td", { class: never ? "mean never" : "mean" }, plot, make("div", { class: "value" }, valueText(measure, mean)),
      never ? null : make("div", { class: "ends muted" }, ends));
  }

  // The distribution of a measure over inputs, with the median of the inputs and the mean over participants.
  function histogram(measure, title, [from, to], values, [mean, low, high]) {
    const steps = 20;
    const counts = new Array(steps).fill(0);
    const at = (value) => Math.min(Math.max((value - from) / (to - from), 0), 1);
    for (const value of values) counts[Math.min(Math.floor(at(value) * steps + 1e-9), steps - 1)] += 1;
    const most = largest(counts, 1);
    const sorted = [...values].sort((one, other) => one - other);
    const [quarter, median, threeQuarters] = [0.25, 0.5, 0.75].map((share) => numbers.quantile(sorted, share));
    const edge = (step) => valueText(measure, from + (step / steps) * (to - from));
    const bars = counts.map((count, step) => {
      const bar = make("span", { title: `${edge(step)} to ${edge(step + 1)}: ${count}` }, make("i"));
      bar.firstChild.style.height = (100 * count) / most + "%";
      return bar;
    });
    const figure = make("figure", { class: "histogram" }, make("figcaption", {}, make("h3", {}, title)));
    if (values.length === 0) {
      figure.append(make("p", { class: "muted" }, "No values."));
      return figure;
    }
    const ends = low === null || low === undefined ? "no interval" : `95% ${valueText(measure, low)} to ${valueText(measure, high)}`;
    const text = `Median ${valueText(measure, median)}, middle half ${valueText(measure, quarter)} to ${valueText(measure, threeQuarters)}; `
      + `mean ${valueText(measure, mean)} (${ends}); ${values.length} inputs.`;
    const plot = make("div", { class: "plot", role: "img", "aria-label": title + ": " + text }, ...bars,
      placed(make("div", { class: "median" }), at(median)));
    const range = make("div", { class: "range", "aria-hidden": "true" }, placed(make("div", { class: "dot" }), at(mean)));
    if (low !== null && low !== undefined) range.append(placed(make("div", { class: "whisker" }), at(low), at(high) - at(low)));
    const ticks = [from, (from + to) / 2, to].map((value) => make("span", {}, value === 0 ? "0" : valueText(measure, value)));
    figure.append(plot, range, make("div", { class: "ticks small muted", "aria-hidden": "true" }, ...ticks),
      make("p", { class: "small" }, text));
    return figure;
  }

  function runsOf(strip) {
    const runs = [];
    for (const letter of strip) {
      const last = runs[runs.length - 1];
      if (last !== undefined && last.letter === letter) last.length += 1;
      else runs.push({ letter, length: 1, start: runs.reduce((sum, run) => sum + run.length, 0) });
    }
    return runs;
  }

  const MAX_DESCRIBED = 12;

  // The emotions of one input over time. `longest`, in seconds, is the length of the axis if lengths are to scale.
  function strip(row, longest) {
    const seconds = row.cell("duration_seconds");
    const absolute = longest !== null && row.timed;
    const steps = row.strip.length;
    const when = (step) => (row.timed ? page.clock((step / steps) * seconds) : "line " + (step + 1));
    const runs = runsOf(row.strip).map((run) => {
      const label = page.data.letters[run.letter] || null;
      const end = run.start + run.length;
      const time = row.timed ? `${when(run.start)}–${when(end)}` : run.length === 1 ? when(run.start) : `${when(run.start)} to ${end}`;
      return { ...run, label, text: `${time} ${label || "no estimate"}` };
    });
    const text = runs.slice(0, MAX_DESCRIBED).map((run) => run.text).join(", ");
    const label = runs.length === 0 ? "no estimate" : text + (runs.length > MAX_DESCRIBED ? ", and so on" : "");
    const drawn = make("div", { class: "strip" + (row.timed ? "" : " lines"), role: "img", "aria-label": label });
    for (const run of runs.length > 0 ? runs : [{ length: 1, label: null, text: "no estimate" }]) {
      const part = make("span", { class: run.label || "none", title: run.text },
        run.label ? make("i", {}, signOf(run.label)) : null);
      part.style.flexGrow = String(run.length);
      drawn.append(part);
    }
    if (absolute) drawn.style.width = Math.max((100 * seconds) / longest, 0.3) + "%";
    else if (longest !== null) drawn.style.maxWidth = 24 * Math.max(steps, 1) + "px";
    return drawn;
  }

  return { make, badge, isolated, linked, largest, sign, percent, signed, valueText, meanCell, histogram, strip };
})();
