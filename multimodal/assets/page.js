"use strict";
// Shared by every page. Defines `page` for the scripts after it:
//   page.data           the values that Python embedded
//   page.charts         promise of a Map: name of a figure -> its Bokeh view, once all are drawn
//   page.color(name)    the current value of a color variable: page.color("ink")
//   page.onScheme(call) calls when light turns to dark or back, and once the charts are drawn
//   page.clock(seconds) 1:02:05
const page = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const listeners = [];

  function color(name) {
    return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  }

  function clock(seconds) {
    const whole = Math.floor(seconds + 1e-6);
    const two = (number) => String(number).padStart(2, "0");
    const minutes = Math.floor(whole / 60);
    const rest = two(whole % 60);
    return minutes < 60 ? minutes + ":" + rest : Math.floor(minutes / 60) + ":" + two(minutes % 60) + ":" + rest;
  }

  // Bokeh draws on a canvas, without CSS: the page's colors are set on each of its models.
  function paint(view) {
    const looks = {
      major_label_text_color: "muted", axis_label_text_color: "muted", axis_line_color: "strong-line",
      major_tick_line_color: "strong-line", minor_tick_line_color: "line", group_text_color: "muted",
      grid_line_color: "line", title_text_color: "ink", label_text_color: "ink", outline_line_color: null,
    };
    for (const model of view.model.references()) {
      const tags = Array.isArray(model.tags) ? model.tags : [];
      const values = {};
      for (const [property, name] of Object.entries(looks)) {
        if (name !== null && property in model.properties && model[property] !== null) values[property] = color(name);
      }
      // A model tagged {"text_color": "ink"} takes that property from that variable.
      for (const tag of tags) {
        if (tag === null || typeof tag !== "object") continue;
        for (const [property, name] of tag instanceof Map ? tag : Object.entries(tag)) {
          if (property in model.properties) values[property] = color(name);
        }
      }
      if (Object.keys(values).length > 0) model.setv(values);
    }
  }

  async function draw() {
    const views = new Map();
    for (const [name, item] of Object.entries(data.figures || {})) {
      const place = document.getElementById(name);
      if (place === null) continue;
      const manager = await Bokeh.embed.embed_item(item, place);
      const view = [...manager][0];
      views.set(name, view);
      paint(view);
    }
    return views;
  }

  const charts = draw();

  function repaint() {
    charts.then((views) => {
      for (const view of views.values()) paint(view);
      for (const call of listeners) call();
    });
  }
  for (const query of [dark, window.matchMedia("print")]) query.addEventListener("change", repaint);

  function onScheme(call) {
    listeners.push(call);
    charts.then(call);
  }

  return { data, charts, color, clock, onScheme };
})();
