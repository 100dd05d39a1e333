"use strict";
// The timeline of one recording, for the script of its page:
//   timeline.utterances      { from, to, label, shares, estimates }, in order
//   timeline.indexAt(time)   index of the utterance at a time; -1 without one
//   timeline.SLACK           seconds by which a player may miss the time that was set
//   timeline.view()          first and last second in view
//   timeline.place(time)     puts the cursor there
//   timeline.reveal(time)    moves the view there if it is out of view
//   timeline.zoom(factor), timeline.all()
//   timeline.onSeek(call)    calls with the time of a click
const timeline = (() => {
  const { start, end, emotions, signs, modalities } = page.data;
  const utterances = page.data.utterances.map(([from, to, label, shares, ...estimates]) => (
    { from, to, label, shares, estimates }));
  const find = (id) => document.getElementById(id);
  const seekers = [];

  let now = start;
  let plots = [];

  // A player may stop a little before the time that was set.
  const SLACK = 0.02;

  function indexAt(time) {
    let low = 0;
    let high = utterances.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (utterances[middle].from <= time + SLACK) low = middle + 1;
      else high = middle;
    }
    // With overlapping speech the latest start wins; an utterance that started long before may still last.
    for (let index = low - 1; index >= 0 && index > low - 50; index -= 1) {
      // An utterance without length matches at its start.
      if (utterances[index].to > time + SLACK || time <= utterances[index].from + SLACK) return index;
    }
    return -1;
  }

  function view() {
    return plots.length > 0 ? [plots[0].model.x_range.start, plots[0].model.x_range.end] : [start, end];
  }

  // Pixels of the time axis, from the left edge of the timeline.
  function span() {
    const frame = plots[0].frame.bbox;
    const left = plots[0].el.getBoundingClientRect().left - find("over").getBoundingClientRect().left;
    return [left + frame.left, left + frame.right];
  }

  function place(time) {
    now = time;
    const cursor = find("cursor");
    if (cursor === null || plots.length === 0) return;
    const [from, to] = view();
    const [left, right] = span();
    cursor.hidden = now < from || now > to;
    cursor.style.transform = "translateX(" + (left + ((now - from) / (to - from)) * (right - left)) + "px)";
  }

  function zoom(factor) {
    if (plots.length === 0) return;
    const [from, to] = view();
    const middle = now >= from && now <= to ? now : (from + to) / 2;
    const width = Math.min(Math.max((to - from) * factor, Math.min(1, end - start)), end - start);
    look(middle - ((middle - from) / (to - from)) * width, width);
  }

  function all() {
    look(start, end - start);
  }

  function look(from, width) {
    const first = Math.min(Math.max(from, start), end - width);
    if (plots.length > 0) plots[0].model.x_range.setv({ start: first, end: first + width });
  }

  function reveal(time) {
    if (plots.length === 0) return;
    const [from, to] = view();
    if (time < from || time > to) look(time - (to - from) * 0.1, to - from);
  }

  const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400];

  function label() {
    const [from, to] = view();
    const [left, right] = span();
    const step = STEPS.find((each) => ((right - left) * each) / (to - from) >= 64) || STEPS[STEPS.length - 1];
    const ticks = [];
    for (let time = Math.ceil(from / step) * step; time <= to + 1e-6; time += step) ticks.push(time);
    for (const plot of plots) {
      for (const axis of plot.model.below) {
        axis.major_label_overrides = new Map(ticks.map((time) => [time, page.clock(time)]));
        axis.ticker.ticks = ticks;
      }
      for (const grid of plot.model.center) {
        if (grid.dimension === 0 && grid.ticker !== null && "ticks" in grid.ticker) grid.ticker.ticks = ticks;
      }
    }
  }

  function rgb(color) {
    return [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
  }

  function ink(color, alpha, below) {
    const mixed = rgb(color).map((value, at) => (value * alpha + below[at] * (1 - alpha)) / 255);
    const linear = mixed.map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    const light = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    return (light + 0.05) ** 2 < 1.05 * 0.05 ? "#ffffff" : "#000000";
  }

  // A sign on every run that is wide enough for one.
  function sign() {
    const plot = plots.find((each) => each.model.name === "modalities");
    if (plot === undefined) return;
    const sources = plot.model.renderers.map((each) => each.data_source);
    const runs = sources.find((each) => each.name === "runs");
    const target = sources.find((each) => each.name === "signs");
    const [from, to] = view();
    const [left, right] = span();
    const narrowest = (14 / (right - left)) * (to - from);
    const below = rgb(page.color("surface"));
    const data = { x: [], y: [], sign: [], ink: [] };
    const { start: starts, end: ends, center, label: labels, color, alpha } = runs.data;
    for (let index = 0; index < starts.length; index += 1) {
      const first = Math.max(starts[index], from);
      const last = Math.min(ends[index], to);
      if (last - first < narrowest) continue;
      data.x.push((first + last) / 2);
      data.y.push(center[index]);
      data.sign.push(signs[labels[index]] || "·");
      data.ink.push(ink(color[index], alpha[index], below));
    }
    target.data = data;
  }

  const titles = new Map();

  // Each utterance if there is room for it, else means.
  function detail() {
    const [from, to] = view();
    const [left, right] = span();
    const inView = utterances.filter((each) => each.to > from && each.from < to).length;
    const fine = (right - left) / Math.max(inView, 1) >= 5;
    for (const plot of plots) {
      for (const renderer of plot.model.renderers) {
        if (renderer.name === "fine") renderer.visible = fine;
        if (renderer.name === "coarse") renderer.visible = !fine;
      }
      const title = plot.model.title;
      if (!titles.has(title)) titles.set(title, title.text);
      title.text = fine ? titles.get(title).replace(/, \d+ s means$/, "") : titles.get(title);
    }
  }

  let waiting = false;
  function changed() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      label();
      detail();
      sign();
      place(now);
    });
  }

  function line(kind, name, value) {
    const row = document.createElement("div");
    row.className = "row " + kind;
    for (const text of [name, value]) row.appendChild(document.createElement("span")).textContent = text;
    return row;
  }

  const percent = (share) => (share < 0.005 ? "<1%" : share >= 0.995 ? ">99%" : Math.round(share * 100) + "%");

  function describe(index) {
    const { from, to, label, shares, estimates } = utterances[index];
    const parts = [line("first", page.clock(from) + " – " + page.clock(to), label === null ? "no estimate" : label)];
    if (shares !== null) {
      const ranked = emotions.map((name, at) => [name, shares[at] / 1000]).sort((one, other) => other[1] - one[1]);
      for (const [name, share] of ranked.slice(0, 3)) parts.push(line("", signs[name] + " " + name, percent(share)));
    }
    parts.push(document.createElement("hr"));
    estimates.forEach((each, at) => {
      parts.push(line("signal", modalities[at], each === null ? "no estimate" : each[0] + " " + percent(each[1])));
    });
    return parts;
  }

  function point(event) {
    const tip = find("tip");
    const [left, right] = span();
    const at = event.clientX - find("over").getBoundingClientRect().left;
    const [from, to] = view();
    const index = at < left || at > right ? -1 : indexAt(from + ((at - left) / (right - left)) * (to - from));
    tip.hidden = index < 0 || event.pointerType === "touch";
    if (tip.hidden) return;
    tip.replaceChildren(...describe(index));
    const beside = at + 16 + tip.offsetWidth > right ? at - 16 - tip.offsetWidth : at + 16;
    tip.style.transform = "translateX(" + Math.max(beside, 0) + "px)";
  }

  page.charts.then((views) => {
    const root = views.get("timeline");
    if (root === undefined) return;
    plots = root.child_views;
    plots[0].model.x_range.change.connect(changed);
    for (const plot of plots) {
      plot.model.on_event("tap", (event) => { for (const call of seekers) call(event.x); });
      // A finger moves the page up and down, and the timeline only sideways.
      plot.canvas_view.touch_action.replace(".bk-events { touch-action: pan-y pinch-zoom; }");
      // It is an image: the transcript contains the same data, and nothing in it takes the focus.
      plot.canvas_view.events_el.removeAttribute("tabindex");
    }
    const over = find("over");
    over.addEventListener("pointermove", point);
    over.addEventListener("pointerleave", () => { find("tip").hidden = true; });
    new ResizeObserver(() => setTimeout(changed, 60)).observe(over);
    find("zoom-in").addEventListener("click", () => zoom(0.5));
    find("zoom-out").addEventListener("click", () => zoom(2));
    find("zoom-all").addEventListener("click", all);
    page.onScheme(changed);
  });

  return { utterances, indexAt, SLACK, view, place, reveal, zoom, all, onSeek: (call) => seekers.push(call) };
})();
