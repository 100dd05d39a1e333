"use strict";
// The page of one recording: player, timeline and transcript stay at one time.
(() => {
  const { start, end, duration, video, timed } = page.data;
  const { utterances, indexAt, SLACK } = timeline;
  const find = (id) => document.getElementById(id);
  const media = find("media");
  const rows = utterances.map((_, index) => find("u" + index));
  const list = find("utterances");
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");

  let now = start;
  let current = -1;
  let following = true;

  // --- time -------------------------------------------------------------------------------------------------------

  function playable() {
    return media !== null && !media.hidden && media.error === null && media.hasAttribute("src");
  }

  function seek(time) {
    now = Math.min(Math.max(time, start), end);
    if (playable()) media.currentTime = now;
    show();
    timeline.reveal(now);
  }

  function update() {
    if (!playable()) return;
    now = media.currentTime;
    show();
  }

  function tick() {
    const inView = now <= timeline.view()[1];
    update();
    if (playable() && !media.paused) {
      // The view turns like a page when the cursor leaves it, unless the reader has moved it elsewhere.
      if (inView && now > timeline.view()[1] && now < end) timeline.reveal(now);
      requestAnimationFrame(tick);
    }
  }

  function show() {
    const text = page.clock(now) + " / " + page.clock(end);
    if (timed && find("now") && find("now").textContent !== text) find("now").textContent = text;
    timeline.place(now);
    const index = timed ? indexAt(now) : current;
    if (index === current) return;
    if (current >= 0) rows[current].removeAttribute("aria-current");
    current = index;
    if (current < 0) return;
    rows[current].setAttribute("aria-current", "true");
    if (following) bring(rows[current]);
  }

  function bring(row) {
    // Only the list scrolls, never the page; the row goes to a third of its height, so that earlier ones stay in view.
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
      "This browser cannot play the recording: the file was moved, or its format (such as HEVC or AVI) is not " +
      "supported. Choose the file, or a copy as MP4 (H.264) or WebM; it stays on this machine.";
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
    const pictureless = video && media.videoWidth === 0;
    media.classList.toggle("blind", pictureless);
    find("no-media").hidden = !pictureless;
    if (pictureless) {
      find("no-media-why").textContent =
        "This browser plays the sound but cannot show the picture: the video format is not supported. Choose a copy as " +
        "MP4 (H.264) or WebM; it stays on this machine.";
    } else if (Number.isFinite(media.duration) && Math.abs(media.duration - duration) > 1) {
      text = "This file lasts " + page.clock(media.duration) + ", the analyzed recording " + page.clock(duration) +
        ". Is it the right file?";
    }
    note(text);
    show();
  }

  if (media !== null) {
    media.addEventListener("error", unplayable);
    media.addEventListener("loadedmetadata", loaded);
    media.addEventListener("play", tick);
    for (const name of ["timeupdate", "seeking", "seeked", "pause"]) media.addEventListener(name, update);
    // After a click the page keeps the keys.
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
    // A click that ends a selection of text does not seek.
    if (row !== null && timed && String(window.getSelection()) === "") go(Number(row.id.slice(1)));
  });
  if (timed) for (const row of rows) row.dataset.timed = "";

  for (const name of ["wheel", "touchmove"]) {
    list.addEventListener(name, () => timed && follow(false), { passive: true });
  }
  list.addEventListener("keydown", (event) => {
    if (timed && ["PageUp", "PageDown", "Home", "End", "ArrowUp", "ArrowDown"].includes(event.key)) follow(false);
  });
  list.addEventListener("focusin", (event) => {
    if (timed && event.target.matches(":focus-visible")) follow(false);
  });
  list.addEventListener("pointerdown", (event) => {
    if (timed && event.target === list) follow(false);
  });
  find("follow").addEventListener("click", () => follow(true));

  const contents = rows.map((row) => row.textContent.toLowerCase());
  const said = find("said"); // null where no words have a label
  function filter() {
    const query = find("find").value.trim().toLowerCase();
    const label = said === null ? "" : said.value;
    let count = 0;
    rows.forEach((row, index) => {
      row.hidden = !contents[index].includes(query) || (label !== "" && row.dataset.said !== label);
      count += row.hidden ? 0 : 1;
    });
    find("matches").hidden = query === "" && label === "";
    find("matches").textContent = count + " of " + rows.length;
  }
  find("find").addEventListener("input", filter);
  if (said !== null) {
    said.addEventListener("change", filter);
    if (said.value !== "") filter(); // a browser may restore the choice when the page is loaded again
  }

  // --- keys -------------------------------------------------------------------------------------------------------

  const keys = find("keys");
  const actions = {
    " ": toggle, k: toggle,
    ArrowLeft: () => seek(now - 5), ArrowRight: () => seek(now + 5),
    j: () => seek(now - 10), l: () => seek(now + 10),
    "[": () => step(-1), p: () => step(-1), "]": () => step(1), n: () => step(1),
    "+": () => timeline.zoom(0.5), "=": () => timeline.zoom(0.5), "-": () => timeline.zoom(2), 0: timeline.all,
    "?": () => keys.showModal(),
  };

  if (keys !== null) {
    if (find("show-keys") !== null) find("show-keys").addEventListener("click", () => keys.showModal());
    // Before the player's own keys, which differ between browsers.
    document.addEventListener("keydown", (event) => {
      const target = event.target;
      if (event.ctrlKey || event.metaKey || event.altKey || keys.open) return;
      if (target.matches("input, select, textarea") || (event.key === " " && target.closest("button, a, summary"))) return;
      // The player's own buttons and sliders need these keys. When one of them has the focus, the player has it too
      // but does not show it; nothing else distinguishes them.
      const inside = target === media && !media.matches(":focus-visible");
      if (inside && [" ", "ArrowLeft", "ArrowRight"].includes(event.key)) return;
      const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
      if (action === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      action();
    }, true);
  }
  timeline.onSeek(seek);
  show();

  // The page of a study links to a moment: report.html#t=75.3. Lines without times are plain anchors: #u3.
  function arrive() {
    const time = Number.parseFloat(new URLSearchParams(location.hash.slice(1)).get("t"));
    if (timed && Number.isFinite(time)) seek(time);
  }
  window.addEventListener("hashchange", arrive);
  arrive();
})();
