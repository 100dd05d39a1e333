"use strict";
// The page of one recording: what plays, what is drawn and what was said stay at one time.
(() => {
  const { start, end, duration, video, timed, emotions, colours, signs, signals } = page.data;
  const utterances = page.data.utterances.map(([from, to, answer, shares, ...said]) => ({ from, to, answer, shares, said }));
  const find = (id) => document.getElementById(id);
  const media = find("media");
  const rows = utterances.map((_, index) => find("u" + index));
  const list = find("utterances");
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");

  let now = start;
  let current = -1;
  let following = true;
  let plots = [];

  // --- time -------------------------------------------------------------------------------------------------------

  // A player may land a little before the time it was sent to.
  const SLACK = 0.02;

  function indexAt(time) {
    let low = 0;
    let high = utterances.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (utterances[middle].from <= time + SLACK) low = middle + 1;
      else high = middle;
    }
    // Where people speak at once, the one who began last; one who began long before may still speak.
    for (let index = low - 1; index >= 0 && index > low - 50; index -= 1) {
      if (utterances[index].to > time + SLACK || utterances[index].to === utterances[index].from) return index;
    }
    return -1;
  }

  function playable() {
    return media !== null && !media.hidden && media.error === null && media.hasAttribute("src");
  }

  function seek(time) {
    now = Math.min(Math.max(time, start), end);
    if (playable()) media.currentTime = now;
    show();
    reveal(now);
  }

  function tell() {
    if (!playable()) return;
    now = media.currentTime;
    show();
  }

  function tick() {
    const inView = now <= view()[1];
    tell();
    if (playable() && !media.paused) {
      // The view turns like a page when the cursor leaves it, but not where the reader has moved it elsewhere.
      if (inView && now > view()[1] && now < end) reveal(now);
      requestAnimationFrame(tick);
    }
  }

  function show() {
    const text = page.clock(now) + " / " + page.clock(end);
    if (timed && find("now") && find("now").textContent !== text) find("now").textContent = text;
    place();
    const index = timed ? indexAt(now) : current;
    if (index === current) return;
    if (current >= 0) rows[current].removeAttribute("aria-current");
    current = index;
    if (current < 0) return;
    rows[current].setAttribute("aria-current", "true");
    if (following) bring(rows[current]);
  }

  function bring(row) {
    // Only the list moves, never the page under the reader's hands; half way down, so that what was said stays in view.
    const top = row.offsetTop - list.offsetTop - (list.clientHeight - row.offsetHeight) / 3;
    list.scrollTo({ top, behavior: still.matches ? "auto" : "smooth" });
  }

  function step(by) {
    if (utterances.length === 0) return;
    let index;
    if (by > 0) {
      index = utterances.findIndex((each) => each.from > now + SLACK * 2);
      if (index < 0) return;
    } else {
      index = utterances.length - 1;
      while (index > 0 && utterances[index].from > now - 1) index -= 1;
    }
    follow(true);
    seek(utterances[index].from);
  }

  function follow(yes) {
    following = yes;
    find("follow").hidden = yes || !timed;
    if (yes && current >= 0) bring(rows[current]);
  }

  function toggle() {
    if (!playable()) return;
    if (media.paused) media.play().catch(() => {});
    else media.pause();
  }

  // --- player -----------------------------------------------------------------------------------------------------

  function note(text) {
    find("media-note").textContent = text;
    find("media-note").hidden = text === "";
  }

  function unplayable() {
    media.hidden = true;
    find("no-media").hidden = false;
    find("no-media-why").textContent =
      "The browser cannot play the recording: it is no longer where it was, or its format (HEVC or AVI, say) is one " +
      "that this browser does not know. Choose the file, or a copy of it as MP4 (H.264) or WebM. It stays on this machine.";
  }

  function choose(file) {
    if (media.src.startsWith("blob:")) URL.revokeObjectURL(media.src);
    media.src = URL.createObjectURL(file);
    media.hidden = false;
    find("no-media").hidden = true;
    media.load();
  }

  function loaded() {
    if (now > 0) media.currentTime = now;
    let text = "";
    const blind = video && media.videoWidth === 0;
    media.classList.toggle("blind", blind);
    find("no-media").hidden = !blind;
    if (blind) {
      find("no-media-why").textContent =
        "The browser plays the sound but cannot show the picture, whose format it does not know. A copy as MP4 (H.264) " +
        "or WebM can be chosen instead; it stays on this machine.";
    } else if (Number.isFinite(media.duration) && Math.abs(media.duration - duration) > 1) {
      text = "This file lasts " + page.clock(media.duration) + ", the analysed recording " + page.clock(duration) +
        ": is it the same?";
    }
    note(text);
    show();
  }

  if (media !== null) {
    media.addEventListener("error", unplayable);
    media.addEventListener("loadedmetadata", loaded);
    media.addEventListener("play", tick);
    for (const name of ["timeupdate", "seeking", "seeked", "pause"]) media.addEventListener(name, tell);
    // A click leaves the keys to the page.
    media.addEventListener("pointerup", () => setTimeout(() => media.blur(), 0));
    if (media.error !== null) unplayable();
    else if (media.readyState >= 1) loaded();
    find("choose").addEventListener("click", () => find("file").click());
    find("file").addEventListener("change", (event) => {
      if (event.target.files.length > 0) choose(event.target.files[0]);
    });
  }

  // --- transcript and moments -------------------------------------------------------------------------------------

  function go(index, time) {
    follow(true);
    if (timed) {
      seek(time ?? utterances[index].from);
    } else {
      if (current >= 0) rows[current].removeAttribute("aria-current");
      current = index;
      rows[index].setAttribute("aria-current", "true");
      rows[index].scrollIntoView({ block: "center", behavior: still.matches ? "auto" : "smooth" });
    }
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-go]");
    if (button !== null) {
      go(Number(button.dataset.go), button.dataset.at === undefined ? null : Number(button.dataset.at));
      return;
    }
    const row = event.target.closest(".utterance");
    // Who marks words to copy them does not want to be sent elsewhere.
    if (row !== null && timed && String(window.getSelection()) === "") go(Number(row.id.slice(1)));
  });
  if (timed) for (const row of rows) row.dataset.timed = "";

  for (const name of ["wheel", "touchmove"]) {
    list.addEventListener(name, () => timed && follow(false), { passive: true });
  }
  list.addEventListener("pointerdown", (event) => {
    if (timed && event.target === list) follow(false);
  });
  find("follow").addEventListener("click", () => follow(true));

  const contents = rows.map((row) => row.textContent.toLowerCase());
  find("find").addEventListener("input", (event) => {
    const wanted = event.target.value.trim().toLowerCase();
    let count = 0;
    rows.forEach((row, index) => {
      row.hidden = !contents[index].includes(wanted);
      count += row.hidden ? 0 : 1;
    });
    find("found").hidden = wanted === "";
    find("found").textContent = count + " of " + rows.length;
  });

  // --- timeline ---------------------------------------------------------------------------------------------------

  function view() {
    return plots.length > 0 ? [plots[0].model.x_range.start, plots[0].model.x_range.end] : [start, end];
  }

  // Pixels of the time axis, from the left edge of the timeline.
  function span() {
    const frame = plots[0].frame.bbox;
    const left = plots[0].el.getBoundingClientRect().left - find("over").getBoundingClientRect().left;
    return [left + frame.left, left + frame.right];
  }

  function place() {
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

  function look(from, width) {
    const first = Math.min(Math.max(from, start), end - width);
    plots[0].model.x_range.setv({ start: first, end: first + width });
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

  function rgb(colour) {
    return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  }

  function ink(colour, alpha, below) {
    const mixed = rgb(colour).map((value, at) => (value * alpha + below[at] * (1 - alpha)) / 255);
    const linear = mixed.map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    const light = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    return (light + 0.05) ** 2 < 1.05 * 0.05 ? "#ffffff" : "#000000";
  }

  // A sign on every piece that is wide enough for one.
  function sign() {
    const plot = plots.find((each) => each.model.name === "signals");
    if (plot === undefined) return;
    const sources = plot.model.renderers.map((each) => each.data_source);
    const runs = sources.find((each) => each.name === "runs");
    const target = sources.find((each) => each.name === "signs");
    const [from, to] = view();
    const [left, right] = span();
    const narrowest = (14 / (right - left)) * (to - from);
    const below = rgb(page.colour("surface"));
    const data = { x: [], y: [], sign: [], ink: [] };
    const { start: starts, end: ends, centre, label: labels, colour, alpha } = runs.data;
    for (let index = 0; index < starts.length; index += 1) {
      const first = Math.max(starts[index], from);
      const last = Math.min(ends[index], to);
      if (last - first < narrowest) continue;
      data.x.push((first + last) / 2);
      data.y.push(centre[index]);
      data.sign.push(signs[labels[index]] || "·");
      data.ink.push(ink(colour[index], alpha[index], below));
    }
    target.data = data;
  }

  const titles = new Map();

  // Each utterance where there is room for it, else means.
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
      place();
    });
  }

  function line(kind, name, value) {
    const row = document.createElement("div");
    row.className = "row " + kind;
    for (const text of [name, value]) row.appendChild(document.createElement("span")).textContent = text;
    return row;
  }

  const percent = (share) => (share > 0 && share < 0.005 ? "<1%" : Math.round(share * 100) + "%");

  function describe(index) {
    const { from, to, answer, shares, said } = utterances[index];
    const parts = [line("first", page.clock(from) + " – " + page.clock(to), answer === null ? "not judged" : answer)];
    if (shares !== null) {
      const ranked = emotions.map((name, at) => [name, shares[at] / 1000]).sort((one, other) => other[1] - one[1]);
      for (const [name, share] of ranked.slice(0, 3)) parts.push(line("", signs[name] + " " + name, percent(share)));
    }
    parts.push(document.createElement("hr"));
    said.forEach((each, at) => {
      parts.push(line("signal", signals[at], each === null ? "absent" : each[0] + " " + percent(each[1])));
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
      plot.model.on_event("tap", (event) => seek(event.x));
      // A finger moves the page up and down, and the timeline only sideways.
      plot.canvas_view.touch_action.replace(".bk-events { touch-action: pan-y pinch-zoom; }");
      // It is a picture: what it shows stands in the transcript, and nothing in it takes the focus.
      plot.canvas_view.events_el.removeAttribute("tabindex");
    }
    const over = find("over");
    over.addEventListener("pointermove", point);
    over.addEventListener("pointerleave", () => { find("tip").hidden = true; });
    new ResizeObserver(() => setTimeout(changed, 60)).observe(over);
    find("zoom-in").addEventListener("click", () => zoom(0.5));
    find("zoom-out").addEventListener("click", () => zoom(2));
    find("zoom-all").addEventListener("click", () => look(start, end - start));
    page.onScheme(changed);
    show();
  });

  // --- keys -------------------------------------------------------------------------------------------------------

  const keys = find("keys");
  const actions = {
    " ": toggle, k: toggle,
    ArrowLeft: () => seek(now - 5), ArrowRight: () => seek(now + 5),
    j: () => seek(now - 10), l: () => seek(now + 10),
    "[": () => step(-1), p: () => step(-1), "]": () => step(1), n: () => step(1),
    "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), 0: () => look(start, end - start),
    "?": () => keys.showModal(),
  };

  if (keys !== null) {
    if (find("show-keys") !== null) find("show-keys").addEventListener("click", () => keys.showModal());
    // Before the player's own letters, which differ from browser to browser.
    document.addEventListener("keydown", (event) => {
      const target = event.target;
      if (event.ctrlKey || event.metaKey || event.altKey || keys.open) return;
      if (target.matches("input, select, textarea") || (event.key === " " && target.closest("button, a, summary"))) return;
      // The player's own buttons and sliders need these. They cannot be told from the player, save by this: where one
      // of them has the focus, the player has it but does not show it.
      const inside = target === media && !media.matches(":focus-visible");
      if (inside && [" ", "ArrowLeft", "ArrowRight"].includes(event.key)) return;
      const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
      if (action === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      action();
    }, true);
  }
  show();

  // The page of a study leads to a moment: report.html#t=75.3. Lines without times are found by the browser: #u3.
  function arrive() {
    const time = Number.parseFloat(new URLSearchParams(location.hash.slice(1)).get("t"));
    if (timed && Number.isFinite(time)) seek(time);
  }
  window.addEventListener("hashchange", arrive);
  arrive();
})();
