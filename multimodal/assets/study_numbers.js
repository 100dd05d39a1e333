"use strict";
// Means over participants with their intervals, like multimodal/batch/summary.py: participants are drawn, not inputs,
// and each counts once, with the mean of their inputs. Groups without a filter keep the numbers of Python. The filters
// need the bootstrap of multimodal/analysis/bootstrap.py once more, here, because a page from disk has no Python to ask;
// a test compares the two.
const numbers = (() => {
  const { measures, bootstrap } = page.data;

  // mulberry32, by Tommy Ettinger, in the public domain: the same selection always gives the same draws.
  function randomNumbers(seed) {
    let state = seed >>> 0;
    return () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
    };
  }

  // Of sorted numbers, with linear interpolation, like numpy's default.
  function quantile(sorted, share) {
    if (sorted.length === 0) return null;
    const place = (sorted.length - 1) * share;
    const below = Math.floor(place);
    const above = Math.min(below + 1, sorted.length - 1);
    return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
  }

  function average(rows, name) {
    const values = rows.map((row) => row.cell(name)).filter((value) => value !== null);
    return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
  }

  function compareRows(one, other) {
    const place = one.findIndex((value, at) => value !== other[at]);
    return place < 0 ? 0 : (one[place] ?? Infinity) - (other[place] ?? Infinity);
  }

  function perPerson(done) {
    const people = new Map();
    for (const row of done) {
      const key = row.groups.participant ? "person " + row.groups.participant : "input " + row.index;
      if (!people.has(key)) people.set(key, []);
      people.get(key).push(row);
    }
    const count = measures.length;
    const means = new Float64Array(people.size * count);
    const present = new Float64Array(people.size * count);
    // Draws go by place: in one order of the values, any order of the inputs gives the same intervals.
    const averages = [...people.values()].map((rows) => measures.map((name) => average(rows, name))).sort(compareRows);
    averages.flat().forEach((value, at) => {
      if (value === null) return;
      means[at] = value;
      present[at] = 1;
    });
    return { count: people.size, means, present };
  }

  function draw({ count: people, means, present }) {
    const count = measures.length;
    const random = randomNumbers(bootstrap.seed);
    const draws = measures.map(() => new Float64Array(bootstrap.resamples));
    const sums = new Float64Array(count);
    const weights = new Float64Array(count);
    for (let number = 0; number < bootstrap.resamples; number += 1) {
      sums.fill(0);
      weights.fill(0);
      for (let person = 0; person < people; person += 1) {
        const from = Math.floor(random() * people) * count;
        for (let measure = 0; measure < count; measure += 1) {
          sums[measure] += means[from + measure];
          weights[measure] += present[from + measure];
        }
      }
      for (let measure = 0; measure < count; measure += 1) {
        draws[measure][number] = weights[measure] > 0 ? sums[measure] / weights[measure] : NaN;
      }
    }
    return draws.map((values) => values.filter((value) => !Number.isNaN(value)).sort());
  }

  function summarize(rows) {
    const done = rows.filter((row) => row.done);
    const people = perPerson(done);
    const draws = people.count >= 2 ? draw(people) : null;
    const values = {};
    measures.forEach((name, measure) => {
      let sum = 0;
      let weight = 0;
      for (let person = 0; person < people.count; person += 1) {
        sum += people.means[person * measures.length + measure];
        weight += people.present[person * measures.length + measure];
      }
      const tail = (1 - bootstrap.level) / 2;
      const ends = weight >= 2 ? [quantile(draws[measure], tail), quantile(draws[measure], 1 - tail)] : [null, null];
      values[name] = [weight > 0 ? sum / weight : null, ...ends];
    });
    return { inputs: rows.length, done: done.length, failed: rows.length - done.length, participants: people.count, values };
  }

  // The same for all selected inputs and for each of their tasks and questions; `recomputed` if it was computed here.
  function summary(rows) {
    const whole = new Map(page.data.summary.map((group) => [group.by + "\n" + group.group, group]));
    const groups = [["all", "", rows]];
    for (const by of ["task", "question"].filter((name) => page.data.groupings.includes(name))) {
      const members = new Map();
      for (const row of rows) {
        if (!members.has(row.groups[by])) members.set(row.groups[by], []);
        members.get(row.groups[by]).push(row);
      }
      // Inputs without a task are listed under their question, and vice versa; only those with neither are named.
      const other = by === "task" ? "question" : "task";
      const ungrouped = (members.get("") || []).filter((row) => !row.groups[other]);
      for (const [name, selected] of members) if (name !== "") groups.push([by, name, selected]);
      if (ungrouped.length > 0) groups.push([by, "", members.get("")]);
    }
    return groups.map(([by, group, selected]) => {
      const known = whole.get(by + "\n" + group);
      const recomputed = known === undefined || known.inputs !== selected.length;
      return { by, group, recomputed, ...(recomputed ? summarize(selected) : known) };
    });
  }

  const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
  const compareTexts = (one, other) => collator.compare(one, other) || (one < other ? -1 : Number(one > other));

  return { summarize, summary, quantile, compareTexts };
})();
