"use strict";
// The page of a study: filters select inputs, and everything else shows the selection. The filters are in the address
// after #, so that they are kept when the reader comes back from the page of an input.
(() => {
  const { make, badge, isolated, linked, percent, largest } = charts;
  const { data } = page;
  const NONE = "none";
  const NO_ESTIMATE = "no estimate";
  const SMALLEST_SHARE = 0.01;
  const LINES_AT_ONCE = 400;
  const ROWS_AT_ONCE = 200;
  const MOMENTS_AT_ONCE = 5;
  const place = (id) => document.getElementById(id);

  const columnOf = new Map(data.columns.map((column) => [column.name, column]));
  const all = data.inputs.map((input, index) => {
    const cell = (name) => columnOf.get(name).cells[index];
    const row = { ...input, index, cell, done: cell("status") === "done" };
    const texts = data.columns.filter((column) => column.text && column.name !== "result").map((column) => column.cells[index]);
    row.text = [input.label, input.problem, ...texts, data.transcripts ? data.transcripts[index] : ""].filter(Boolean).join("\n").toLowerCase();
    row.labels = input.emotions.length > 0 ? input.emotions : [NO_ESTIMATE];
    row.dominant = dominant(row);
    return row;
  });

  function dominant(row) {
    if (!row.done) return null;
    const label = row.cell("dominant");
    return label === null ? null : { label, share: columnOf.has(label) ? row.cell(label) : null };
  }

  // ---- filters

  const facets = {
    ...Object.fromEntries(data.groupings.map((name) => [name, (row) => [row.groups[name] ? "=" + row.groups[name] : NONE]])),
    ...(data.usability.length > 0 ? { words: (row) => row.words.map((label) => "=" + label) } : {}),
    emotion: (row) => (row.done ? row.labels.map((label) => "=" + label) : []),
    status: (row) => ["=" + row.cell("status")],
  };
  const state = { search: "", ...Object.fromEntries(Object.keys(facets).map((name) => [name, ""])) };
  const more = { strips: LINES_AT_ONCE, inputs: ROWS_AT_ONCE };
  const order = { key: null, descending: false };

  function passes(row, except = null) {
    const words = state.search.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.every((word) => row.text.includes(word))) return false;
    return Object.entries(facets).every(([name, valuesOf]) => name === except || state[name] === "" || valuesOf(row).includes(state[name]));
  }

  function readAddress() {
    const address = new URLSearchParams(location.hash.slice(1));
    for (const name of Object.keys(state)) state[name] = address.get(name) || "";
  }

  function writeAddress() {
    const set = Object.entries(state).filter(([, value]) => value !== "");
    const bare = location.href.split("#")[0];
    history.replaceState(null, "", set.length > 0 ? bare + "#" + new URLSearchParams(set) : bare);
  }

  const valueText = (value) => (value === NONE ? "(none)" : value.slice(1));

  function choices(name) {
    const counts = new Map();
    for (const row of all) for (const value of facets[name](row)) if (!counts.has(value)) counts.set(value, 0);
    let total = 0;
    for (const row of all.filter((candidate) => passes(candidate, name))) {
      total += 1;
      for (const value of facets[name](row)) counts.set(value, counts.get(value) + 1);
    }
    if (state[name] !== "" && !counts.has(state[name])) counts.set(state[name], 0);
    const labels = [...Object.keys(data.signs), NO_ESTIMATE];
    const orders = { emotion: labels, words: data.usability.map((column) => column.slice("usability_".length)) };
    const rank = (value) => (value === NONE ? Infinity : name in orders ? orders[name].indexOf(value.slice(1)) : 0);
    const values = [...counts.keys()].sort((one, other) => (rank(one) - rank(other) || 0) || numbers.compareTexts(one, other));
    return [["", `all (${total})`], ...values.map((value) => [value, `${valueText(value)} (${counts.get(value)})`])];
  }

  function showChoices() {
    for (const name of Object.keys(facets)) {
      const select = place("filter-" + name);
      const options = choices(name);
      const same = select.options.length === options.length && options.every(([value], at) => select.options[at].value === value);
      if (same) options.forEach(([, text], at) => { select.options[at].textContent = text; });
      else select.replaceChildren(...options.map(([value, text]) => make("option", { value }, text)));
      select.value = state[name];
      select.classList.toggle("set", state[name] !== "");
    }
  }

  // ---- numbers and means

  const counted = (count, one, several) => `${count.toLocaleString("en")} ${count === 1 ? one : several}`;

  function showState(rows) {
    const set = Object.entries(state).filter(([, value]) => value !== "").map(([name, value]) => (
      name === "search" ? `“${value}”` : `${name} ${valueText(value)}`));
    const of = rows.length === all.length ? "All" : rows.length.toLocaleString("en") + " of";
    place("state").textContent = `${of} ${counted(all.length, "input", "inputs")}${set.length > 0 ? ": " + set.join(", ") : ""}`;
    place("clear").disabled = set.length === 0;
    place("searched").textContent = data.transcripts ? "Search covers names, manifest columns, errors and transcripts."
      : "Search covers names, manifest columns and errors; the transcripts are too large for this page.";
  }

  function showNumbers(rows, whole) {
    const done = rows.filter((row) => row.done);
    const seconds = done.reduce((sum, row) => sum + (row.cell("duration_seconds") || 0), 0);
    const values = {
      inputs: rows.length, done: done.length, failed: rows.length - done.length, participants: whole.participants,
      duration: page.clock(seconds), empty: done.filter((row) => row.cell(data.shares[0]) === null).length,
    };
    for (const element of document.querySelectorAll("[data-number]")) {
      const value = values[element.dataset.number];
      element.textContent = typeof value === "number" ? value.toLocaleString("en") : value;
    }
  }

  function showFailures(rows) {
    const box = place("failures");
    if (box === null) return;
    const selected = new Set(rows.map((row) => row.index));
    let count = 0;
    for (const item of box.querySelectorAll("li")) {
      item.hidden = !selected.has(Number(item.dataset.input));
      count += item.hidden ? 0 : 1;
    }
    box.hidden = count === 0;
    place("failure-count").textContent = counted(count, "input", "inputs");
  }

  function showEmotions(groups) {
    const shares = data.shares.filter((label) => groups.some((group) => group.values[label][0] >= SMALLEST_SHARE));
    const uncertain = groups.some((group) => group.values[data.uncertain][0] > 0) ? [data.uncertain] : [];
    const highest = highestOf(groups, [...shares, ...uncertain]);
    const affects = ["mean_valence", "mean_arousal"];
    const ends = groups.flatMap((group) => affects.flatMap((name) => group.values[name].map((value) => Math.abs(value || 0))));
    const reach = Math.min(Math.ceil(4 * largest(ends, 0.25)) / 4, 1);
    const scaleOf = (measure) => (affects.includes(measure) ? [-reach, reach] : [0, highest]);
    const measures = [...shares, ...affects, ...uncertain]; // no share of the emotions, which sum to 1 without it
    const scale = `bars to ${percent(highest)}, dots from −${reach} to +${reach}`;
    showMeans("emotions", groups, measures, scale, scaleOf, (name) => (data.signs[name] ? badge(name) : name.slice(5)));
  }

  // Frustration and confusion are shown also if they are rare: that they are is what one wants to know.
  function showWords(groups) {
    if (data.usability.length === 0) return;
    const measures = data.usability.filter((name, at) => at < 2 || groups.some((group) => group.values[name][0] >= SMALLEST_SHARE));
    const highest = highestOf(groups, measures);
    const labelOf = (name) => name.slice("usability_".length);
    showMeans("words", groups, measures, `bars to ${percent(highest)} of the utterances`, () => [0, highest], (name) => (
      make("span", {}, make("i", { class: "spot " + labelOf(name), "aria-hidden": "true" }), labelOf(name))));
  }

  const highestOf = (groups, measures) => (
    Math.min(largest(groups.flatMap((group) => measures.flatMap((name) => group.values[name].map(Number))), 0.1), 1));

  // A table of means with their intervals: a row per group, a column per measure.
  function showMeans(id, groups, measures, scale, scaleOf, titleOf) {
    const heads = measures.map((name) => make("th", { scope: "col" }, titleOf(name)));
    const table = make("table", {}, make("thead", {}, make("tr", {}, make("td", { class: "small muted" }, scale), ...heads)));
    table.style.setProperty("--least", 112 + 104 * measures.length + "px");
    let body = null;
    for (const group of groups) {
      if (body === null || body.dataset.by !== group.by) {
        body = make("tbody", { "data-by": group.by });
        if (group.by !== "all") body.append(make("tr", { class: "by" }, make("th", { scope: "rowgroup", colspan: measures.length + 1 }, "By " + group.by)));
        table.append(body);
      }
      const name = group.by === "all" ? (groups[0].recomputed ? "Selected inputs" : "All inputs") : group.group || `no ${group.by}`;
      const people = data.groupings.includes("participant") ? ", " + counted(group.participants, "participant", "participants") : "";
      const size = counted(group.inputs, "input", "inputs") + people;
      const head = make("th", { scope: "row", class: group.group || group.by === "all" ? null : "muted" }, isolated(name),
        make("div", { class: "small muted" }, size));
      body.append(make("tr", {}, head, ...measures.map((measure) => (
        charts.meanCell(measure, group.values[measure], scaleOf(measure))))));
    }
    place(id).replaceChildren(table);
  }

  function showRecomputed(groups) {
    const text = groups.some((group) => group.recomputed)
      ? "Means and intervals are recomputed for the selected inputs, with the same method." : "";
    for (const element of document.querySelectorAll(".recomputed")) element.textContent = text;
  }

  // ---- key moments

  function showList(id, items, empty) {
    const box = place(id);
    let count = MOMENTS_AT_ONCE;
    const draw = (focus) => {
      const list = make("ol", { class: "plain" }, ...items.slice(0, count).map((item) => make("li", {}, ...item())));
      const left = items.length - count;
      const button = left > 0 ? make("button", { type: "button", class: "screen-only" }, `Show ${Math.min(left, 10)} more`) : null;
      box.replaceChildren(items.length > 0 ? list : make("p", { class: "muted" }, empty), ...(button ? [button] : []));
      if (button) button.addEventListener("click", () => { count += 10; draw(count - 10); });
      if (focus !== undefined) list.children[focus].querySelector("a, bdi")?.focus();
    };
    draw();
  }

  function showWatching(rows) {
    const selected = new Set(rows.map((row) => row.index));
    const outliers = data.outliers.filter((outlier) => selected.has(outlier.input));
    showList("outliers", outliers.map(({ input, reasons }) => () => [
      make("div", { class: "first" }, linked(all[input], all[input].label), context(all[input])),
      make("ul", { class: "reasons" }, ...reasons.map((reason) => make("li", {}, reason)))]), "No outliers.");
    for (const kind of ["problem", "disagreement", "change", "peak"].filter((name) => place(name) !== null)) {
      const moments = data.moments.filter((moment) => moment.kind === kind && selected.has(moment.input) && matches(moment));
      const varied = interleave(moments, (moment) => (kind === "peak" ? moment.emotion : moment.input));
      showList(kind, varied.map((moment) => () => momentItem(moment)), "None in the selected inputs.");
    }
  }

  const matches = (moment) => (moment.kind === "problem" ? !["frustration", "confusion"].includes(valueText(state.words))
    || valueText(state.words) === moment.emotion : matchesEmotion(moment));
  const matchesEmotion = (moment) => state.emotion === "" || !Object.hasOwn(data.signs, state.emotion.slice(1)) || state.emotion.slice(1) === moment.emotion;

  // The strongest of each emotion, or of each input, comes before the second strongest of any.
  function interleave(moments, keyOf) {
    const rounds = new Map();
    const ranked = moments.map((moment) => {
      const round = rounds.get(keyOf(moment)) || 0;
      rounds.set(keyOf(moment), round + 1);
      return [round, moment];
    });
    return ranked.sort(([one], [other]) => one - other).map(([, moment]) => moment);
  }

  function momentItem(moment) {
    const row = all[moment.input];
    const at = moment.start === null ? "#u" + moment.line : "#t=" + moment.start;
    const when = ", " + (moment.start === null ? `line ${moment.line + 1}` : page.clock(moment.start));
    const named = ["peak", "problem"].includes(moment.kind); // by its label alone
    const note = named ? percent(moment.strength) : "";
    return [
      make("div", { class: "first" }, linked(row, row.label, at, when), context(row)),
      make("div", { class: "emotion" }, badge(moment.emotion, note), named ? null : make("span", { class: "why" }, moment.why)),
      moment.quote ? make("q", { dir: "auto" }, moment.quote) : null,
    ];
  }

  function context(row) {
    const texts = ["participant", "task", "question"].map((name) => row.groups[name]).filter(Boolean);
    return texts.length === 0 ? null : make("span", { class: "muted small" }, ...separated(texts.map((text) => isolated(text))));
  }

  const separated = (elements) => elements.flatMap((element, at) => (at === 0 ? [element] : [" · ", element]));

  // ---- participants over time

  const meanOf = (rows, measure) => {
    const values = rows.map((row) => row.cell(measure)).filter((value) => value !== null);
    return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
  };
  const byMean = (measure, sense) => (one, other) => nullsLast(meanOf(one.rows, measure), meanOf(other.rows, measure), sense);
  const orders = {
    "by name": (one, other) => numbers.compareTexts(one.name, other.name),
    "manifest order": () => 0,
    "least pleasant first": byMean("mean_valence", 1),
    "most pleasant first": byMean("mean_valence", -1),
    ...(data.usability.length > 0 ? { "most frustration first": byMean("usability_frustration", -1) } : {}),
    "most excited first": byMean("mean_arousal", -1),
  };

  function nullsLast(one, other, sense = 1) {
    if (one === null || other === null) return Number(one === null) - Number(other === null);
    return sense * (typeof one === "number" ? one - other : numbers.compareTexts(one, other));
  }

  function people(rows) {
    const groups = new Map();
    for (const row of rows.filter((candidate) => candidate.done)) {
      const name = data.groupings.includes("participant") ? row.groups.participant : "";
      const key = name || row.index;
      if (!groups.has(key)) groups.set(key, { name, rows: [] });
      groups.get(key).rows.push(row);
    }
    return [...groups.values()].sort(orders[place("order").value] || (() => 0));
  }

  function showStrips(rows) {
    const absolute = document.querySelector("input[name=time]:checked").value === "absolute";
    const groups = people(rows);
    const lengths = groups.flatMap((group) => group.rows.map((row) => row.cell("duration_seconds") || 0));
    const longest = absolute ? largest(lengths, 1) : null;
    const withNames = data.groupings.includes("participant");
    const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => make("span", {}, absolute ? page.clock(share * longest) : percent(share)));
    const head = make("div", { class: "axis small muted", "aria-hidden": "true" }, make("div", { class: "ticks" }, ...ticks));
    const list = make("ul", { class: "plain people" + (withNames ? "" : " unnamed") });
    let drawn = 0;
    for (const group of groups) {
      if (drawn >= more.strips) break;
      const lines = group.rows.slice(0, more.strips - drawn).map((row) => answerLine(row, group.rows, longest));
      drawn += lines.length;
      list.append(make("li", {}, withNames ? make("div", { class: "who" }, isolated(group.name || "–")) : null, make("ul", { class: "plain" }, ...lines)));
    }
    place("strips").replaceChildren(head, drawn > 0 ? list : make("p", { class: "muted" }, "No inputs."));
    const total = groups.reduce((sum, group) => sum + group.rows.length, 0);
    showMore("strips", drawn, total, LINES_AT_ONCE, "inputs");
  }

  function answerLine(row, siblings, longest) {
    const texts = ["task", "question"].map((name) => row.groups[name]).filter(Boolean);
    const alike = siblings.filter((other) => ["task", "question"].every((name) => (other.groups[name] || "") === (row.groups[name] || "")));
    const text = texts.length === 0 || !data.groupings.includes("participant") ? row.label
      : texts.join(" · ") + (alike.length > 1 ? ` (${alike.indexOf(row) + 1})` : "");
    return make("li", { class: "answer" }, make("span", { class: "what" }, linked(row, text)),
      make("div", { class: "time" }, charts.strip(row, longest)), make("span", { class: "dominant" }, ...dominantBadge(row)));
  }

  function dominantBadge(row) {
    if (row.dominant === null) return [make("span", { class: "muted" }, row.done ? NO_ESTIMATE : "failed")];
    return [badge(row.dominant.label, row.dominant.share === null ? "" : percent(row.dominant.share))];
  }

  function showLegend() {
    const present = new Set(all.flatMap((row) => [...row.strip]).map((letter) => data.letters[letter]));
    const items = Object.keys(data.signs).filter((label) => present.has(label)).map((label) => make("li", {}, badge(label)));
    const none = make("span", { class: "badge" }, make("i", { class: "sign none", "aria-hidden": "true" }), NO_ESTIMATE);
    place("legend").replaceChildren(...items, make("li", {}, none));
  }

  // ---- spread and table

  function showSpread(rows, whole) {
    const figures = [["mean_valence", "Valence", [-1, 1]], ["mean_arousal", "Arousal", [-1, 1]], ["confidence", "Confidence", [0, 1]]];
    place("spread").replaceChildren(...figures.map(([measure, title, scale]) => {
      const values = rows.map((row) => row.cell(measure)).filter((value) => value !== null);
      return charts.histogram(measure, title, scale, values, whole.values[measure]);
    }));
  }

  const number = (measure) => ({ value: (row) => row.cell(measure), draw: (row, value) => charts.valueText(measure, value) });
  const tableColumns = [
    { key: "input", title: "Input", value: (row) => row.label, draw: (row) => linked(row, row.label) },
    ...data.groupings.map((name) => ({ key: name, title: name[0].toUpperCase() + name.slice(1), value: (row) => row.groups[name] || null,
      draw: (row, value) => isolated(value) })),
    { key: "status", title: "Status", value: (row) => (row.problem ? "no page" : row.cell("status")), draw: (row, value) => (value === "done" ? value : make("span", { class: "failed" }, value)),
      note: (row) => row.problem || row.cell("error") },
    { key: "length", title: "Length", number: true, value: (row) => row.cell("duration_seconds") || null, draw: (row, value) => page.clock(value) },
    { key: "dominant", title: "Dominant", value: (row) => row.dominant && row.dominant.label, draw: (row, value) => badge(value) },
    { key: "share", title: "Share", number: true, value: (row) => row.dominant && row.dominant.share, draw: (row, value) => percent(value) },
    ...data.usability.slice(0, 2).map((measure) => {
      const label = measure.slice("usability_".length);
      return { key: label, title: label[0].toUpperCase() + label.slice(1), number: true, ...number(measure) };
    }),
    { key: "valence", title: "Valence", number: true, ...number("mean_valence") },
    { key: "arousal", title: "Arousal", number: true, ...number("mean_arousal") },
    { key: "confidence", title: "Confidence", number: true, ...number("confidence") },
    ...[["face", "Face"], ["audio", "Voice"], ["text", "Words"]].map(([modality, title]) => (
      { key: modality, title, number: true, ...number("coverage_" + modality) })),
    { key: "warnings", title: "Warnings", number: true, value: (row) => (row.done ? row.warnings || null : null), draw: (row, value) => String(value) },
  ];

  function sorted(rows) {
    const column = tableColumns.find((candidate) => candidate.key === order.key);
    if (column === undefined) return rows;
    return [...rows].sort((one, other) => nullsLast(column.value(one), column.value(other), order.descending ? -1 : 1) || one.index - other.index);
  }

  function showTable(rows) {
    const heads = tableColumns.map((column) => {
      const current = column.key === order.key;
      const button = make("button", { type: "button", "data-sort": column.key }, column.title,
        make("span", { "aria-hidden": "true" }, current ? (order.descending ? " ↓" : " ↑") : ""));
      const sort = current ? (order.descending ? "descending" : "ascending") : null;
      return make("th", { scope: "col", class: column.number ? "number" : null, "aria-sort": sort }, button);
    });
    const body = make("tbody", {}, ...sorted(rows).slice(0, more.inputs).map((row) => make("tr", {}, ...tableColumns.map((column) => {
      const value = column.value(row);
      const note = column.note ? column.note(row) : null;
      return make("td", { class: column.number ? "number" : column.key === "input" ? "input" : null, title: note || null },
        value === null ? "" : column.draw(row, value));
    }))));
    place("inputs").replaceChildren(make("table", {}, make("thead", {}, make("tr", {}, ...heads)), body));
    showMore("inputs", Math.min(rows.length, more.inputs), rows.length, ROWS_AT_ONCE, "inputs");
    place("download").textContent = `Download ${counted(rows.length, "row", "rows")} as CSV`;
    place("download").disabled = rows.length === 0;
  }

  function showMore(name, visible, total, step, what) {
    const box = place(name + "-more");
    box.replaceChildren();
    if (visible >= total) return;
    const grow = (count, text) => {
      const button = make("button", { type: "button" }, text);
      button.addEventListener("click", () => {
        more[name] = count;
        show();
        (box.querySelector("button") || place(name)).focus();
      });
      return button;
    };
    box.append(`${visible.toLocaleString("en")} of ${total.toLocaleString("en")} ${what} are listed. `,
      grow(more[name] + step, `Show ${Math.min(step, total - visible)} more`), " ", grow(Infinity, "Show all"));
  }

  // ---- the selected rows as a table for spreadsheets, like those of multimodal/batch/tables.py

  function neutral(text) {
    return data.formula.some((sign) => text.replace(/^ +/, "").startsWith(sign)) ? "'" + text : text;
  }

  function csv(rows) {
    const quoted = (text) => '"' + neutral(text).replaceAll('"', '""') + '"';
    const cell = (value) => (value === null ? '""' : typeof value === "string" ? quoted(value) : String(value));
    const lines = [data.columns.map((column) => quoted(column.name)), ...rows.map((row) => data.columns.map((column) => cell(column.cells[row.index])))];
    return "\ufeff" + lines.map((line) => line.join(",") + "\n").join("");
  }

  function download() {
    const address = URL.createObjectURL(new Blob([csv(sorted(selection()))], { type: "text/csv" }));
    const link = make("a", { href: address, download: "results-selected.csv" });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
  }

  // ---- the whole page

  const selection = () => all.filter((row) => passes(row));

  function show() {
    const rows = selection();
    const groups = numbers.summary(rows);
    showChoices();
    showState(rows);
    showNumbers(rows, groups[0]);
    showFailures(rows);
    showWords(groups);
    showEmotions(groups);
    showRecomputed(groups);
    showWatching(rows);
    showStrips(rows);
    showSpread(rows, groups[0]);
    showTable(rows);
  }

  function applyFilters() {
    Object.assign(more, { strips: LINES_AT_ONCE, inputs: ROWS_AT_ONCE });
    writeAddress();
    show();
  }

  let typing = null;
  place("search").addEventListener("input", (event) => {
    clearTimeout(typing);
    typing = setTimeout(() => { state.search = event.target.value.trim(); applyFilters(); }, 150);
  });
  for (const name of Object.keys(facets)) {
    place("filter-" + name).addEventListener("change", (event) => { state[name] = event.target.value; applyFilters(); });
  }
  place("clear").addEventListener("click", () => {
    for (const name of Object.keys(state)) state[name] = "";
    place("search").value = "";
    applyFilters();
    place("search").focus();
  });
  place("inputs").addEventListener("click", (event) => {
    const button = event.target.closest("[data-sort]");
    if (button === null) return;
    const key = button.dataset.sort;
    Object.assign(order, { descending: order.key === key && !order.descending, key });
    showTable(selection());
    place("inputs").querySelector(`[data-sort="${key}"]`).focus();
  });
  place("download").addEventListener("click", download);
  for (const input of document.querySelectorAll("input[name=time]")) input.addEventListener("change", () => showStrips(selection()));
  place("order").append(...Object.keys(orders).map((name) => make("option", {}, name)));
  if (!data.groupings.includes("participant")) place("order").value = "manifest order";
  place("order").addEventListener("change", () => showStrips(selection()));
  window.addEventListener("hashchange", () => {
    if (location.hash !== "" && !Object.keys(state).some((name) => new URLSearchParams(location.hash.slice(1)).has(name))) return;
    readAddress();
    place("search").value = state.search;
    show();
  });

  readAddress();
  place("search").value = state.search;
  showLegend();
  show();
})();
