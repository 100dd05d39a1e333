"use strict";
// Means over participants with their intervals, as multimodal/batch_summary.py takes them: people are drawn, not
// inputs, and each counts once, by the mean of their inputs. What is not filtered is taken from there as it is.
const numbers = (() => {
  const { measures, bootstrap } = page.data;

  // mulberry32, by Tommy Ettinger, in the public domain: the same draws each time the same inputs are chosen.
  function randomNumbers(seed) {
    let state = seed >>> 0;
    return () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
    };
  }

  // Of sorted numbers, between neighbors in a straight line, as numpy does by default.
  function quantile(sorted, share) {
    if (sorted.length === 0) return null;
    const place = (sorted.length - 1) * share;
    const below = Math.floor(place);
    const above = Math.min(below + 1, sorted.length - 1);
    return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
  }

  function perPerson(done) {
    const people = new Map();
    for (const row of done) {
      const key = row.said.participant ? "person " + row.said.participant : "input " + row.index;
      if (!people.has(key)) people.set(key, []);
      people.get(key).push(row);
    }
    const count = measures.length;
    const means = new Float64Array(people.size * count);
    const there = new Float64Array(people.size * count);
    let at = 0;
    for (const rows of people.values()) {
      for (let number = 0; number < count; number += 1, at += 1) {
        const values = rows.map((row) => row.cell(measures[number])).filter((value) => value !== null);
        if (values.length === 0) continue;
        means[at] = values.reduce((sum, value) => sum + value, 0) / values.length;
        there[at] = 1;
      }
    }
    return { people: people.size, means, there };
  }

  function draw({ people, means, there }) {
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
          weights[measure] += there[from + measure];
        }
      }
      for (let measure = 0; measure < count; measure += 1) {
        draws[measure][number] = weights[measure] > 0 ? sums[measure] / weights[measure] : NaN;
      }
    }
    return draws.map((found) => found.filter((value) => !Number.isNaN(value)).sort());
  }

  function summarize(rows) {
    const done = rows.filter((row) => row.done);
    const found = perPerson(done);
    const draws = found.people >= 2 ? draw(found) : null;
    const values = {};
    measures.forEach((name, measure) => {
      let sum = 0;
      let weight = 0;
      for (let person = 0; person < found.people; person += 1) {
        sum += found.means[person * measures.length + measure];
        weight += found.there[person * measures.length + measure];
      }
      const tail = (1 - bootstrap.level) / 2;
      const ends = weight >= 2 ? [quantile(draws[measure], tail), quantile(draws[measure], 1 - tail)] : [null, null];
      values[name] = [weight > 0 ? sum / weight : null, ...ends];
    });
    return { inputs: rows.length, done: done.length, failed: rows.length - done.length, participants: found.people, values };
  }

  // The same for all inputs chosen and for each task and question among them; `anew` where it was computed here.
  function summary(rows) {
    const whole = new Map(page.data.summary.map((group) => [group.by + "\n" + group.group, group]));
    const groups = [["all", "", rows]];
    for (const by of ["task", "question"].filter((name) => page.data.groupings.includes(name))) {
      const found = new Map();
      for (const row of rows) {
        if (!found.has(row.said[by])) found.set(row.said[by], []);
        found.get(row.said[by]).push(row);
      }
      // Inputs without a task stand under their question, and the other way round; only those without both are named.
      const other = by === "task" ? "question" : "task";
      const lost = (found.get("") || []).filter((row) => !row.said[other]);
      for (const [name, chosen] of found) if (name !== "") groups.push([by, name, chosen]);
      if (lost.length > 0) groups.push([by, "", found.get("")]);
    }
    return groups.map(([by, group, chosen]) => {
      const known = whole.get(by + "\n" + group);
      const anew = known === undefined || known.inputs !== chosen.length;
      return { by, group, anew, ...(anew ? summarize(chosen) : known) };
    });
  }

  const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
  const compareTexts = (one, other) => collator.compare(one, other) || (one < other ? -1 : Number(one > other));

  return { summarize, summary, quantile, compareTexts };
})();
