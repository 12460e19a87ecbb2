// The live page. Everything that comes from the server is put in as text, never as markup. It knows
// the names of /status (docs/operations.md) and leaves out what is not there.
#include "common/admin/live_page.h"

namespace sluice {

const std::string_view kLivePage = R"html(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sluice</title>
<link rel="icon" href="data:,">
<style>
:root {
  color-scheme: light dark;
  --page: #f4f6f8; --card: #ffffff; --line: #d5dce3; --text: #17212b; --quiet: #5c6b7a;
  --flow: #0b6bcb; --out: #0a7d5a; --bad: #b3261e; --bad-page: #fdecea; --warn: #8a5a00;
  --warn-page: #fff4dc; --disk: #e6edf4;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #11171d; --card: #1a222b; --line: #2f3b47; --text: #e4ebf2; --quiet: #94a3b3;
    --flow: #5aa9f5; --out: #45c79a; --bad: #ff8a80; --bad-page: #3a1b19; --warn: #f3c066;
    --warn-page: #33290f; --disk: #202b36;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
       font: 15px/1.45 system-ui, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 20px; }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: 6px 16px; margin-bottom: 16px; }
h1 { margin: 0; font-size: 24px; letter-spacing: -.01em; }
h2 { margin: 0 0 10px; font-size: 13px; font-weight: 600; color: var(--quiet); }
.quiet { color: var(--quiet); }
.badge { margin-left: auto; padding: 3px 14px; border-radius: 999px; font-weight: 600;
         color: var(--out); border: 1.5px solid currentColor; }
.badge.bad { color: var(--bad); }
.condition { padding: 10px 14px; margin-bottom: 8px; border-radius: 8px;
             border-left: 4px solid var(--warn); background: var(--warn-page); }
.condition.bad { border-color: var(--bad); background: var(--bad-page); }
.condition b { margin-right: 8px; }
.condition span { overflow-wrap: anywhere; }
.half { display: grid; gap: 0 30px; margin: 0; padding: 0; list-style: none; }
#ingest { grid-template-columns: repeat(3, 1fr); }
#egress { grid-template-columns: repeat(4, 1fr); }
.stage { position: relative; padding: 12px 14px; background: var(--card); min-width: 0;
         border: 1px solid var(--line); border-radius: 10px; }
.stage h3 { display: flex; justify-content: space-between; align-items: center; gap: 8px;
            margin: 0 0 6px; font-size: 15px; }
.rate { font-size: 22px; font-weight: 600; font-variant-numeric: tabular-nums; white-space: nowrap; }
.rate small { font-size: 13px; font-weight: 400; color: var(--quiet); }
dl { display: grid; grid-template-columns: 1fr auto; gap: 1px 10px; margin: 6px 0 0;
     font-size: 13.5px; }
dt { color: var(--quiet); }
dd { margin: 0; text-align: right; font-variant-numeric: tabular-nums; }
.stage + .stage::before { content: "\25B8"; position: absolute; left: -21px; top: 50%;
                          transform: translateY(-50%); color: var(--flow); font-size: 15px; }
.threads { display: inline-flex; flex-wrap: wrap; gap: 4px; }
.threads i { width: 9px; height: 9px; border-radius: 50%; background: var(--line); }
.threads i.busy { background: var(--flow); }
.threads i.late { background: var(--bad); }
#conditions:not(:empty) { margin-bottom: 14px; }
#disk { display: grid; grid-template-columns: auto 1fr; gap: 4px 26px; align-items: center;
        margin: 14px 0; padding: 12px 16px; background: var(--disk);
        border-radius: 10px; border-top: 2px dashed var(--flow); }
#disk ul { display: flex; flex-wrap: wrap; gap: 4px 28px; margin: 0; padding: 0; list-style: none;
           font-variant-numeric: tabular-nums; }
#disk p { grid-column: 1 / -1; margin: 0; font-size: 13px; overflow-wrap: anywhere; }
.panels { display: grid; grid-template-columns: 2fr 1fr; gap: 14px; margin-top: 14px; }
.panel { padding: 14px 16px; background: var(--card); border: 1px solid var(--line);
         border-radius: 10px; min-width: 0; }
#chart { display: flex; flex-direction: column; }
svg { flex: 1; width: 100%; min-height: 132px; border-bottom: 1px solid var(--line); }
.in { stroke: var(--flow); } .out { stroke: var(--out); stroke-dasharray: 6 3; }
.area { fill: var(--flow); opacity: .12; }
.key { display: inline-block; width: 18px; height: 3px; margin: 0 6px 3px 14px; border-radius: 2px; }
.meter { display: grid; grid-template-columns: 1fr auto; gap: 0 10px; margin-bottom: 9px;
         font-size: 13.5px; font-variant-numeric: tabular-nums; }
.meter div { grid-column: 1 / -1; height: 6px; margin-top: 2px; border-radius: 3px;
             background: var(--disk); overflow: hidden; }
.meter div i { display: block; height: 100%; width: 0; background: var(--flow); }
.meter.full div i { background: var(--bad); }
footer { margin-top: 16px; font-size: 13px; color: var(--quiet); }
footer a { color: inherit; margin-right: 12px; }
.stale main { opacity: .45; }
@media (max-width: 860px) {
  #ingest, #egress, .panels { grid-template-columns: 1fr; }
  .half { gap: 12px; }
  .stage + .stage::before { display: none; }
}
</style>
</head>
<body>
<main>
  <header><h1>Sluice</h1><span class="quiet" id="about"></span><span class="badge" id="badge"
    role="status">…</span></header>
  <div id="conditions" aria-live="polite"></div>
  <ol class="half" id="ingest"></ol>
  <section id="disk"><b>Disk</b><ul></ul><p class="quiet"></p></section>
  <ol class="half" id="egress"></ol>
  <div class="panels">
    <section class="panel" id="chart"><h2>Events a second
      <span class="key" style="background: var(--flow)"></span>received
      <span class="key" style="background: var(--out)"></span>uploaded
      <span id="peak" style="float: right"></span></h2>
      <svg viewBox="0 0 600 132" preserveAspectRatio="none" fill="none" stroke-width="2"
        role="img" aria-label="events received and uploaded a second, last two minutes">
        <path class="area"/><path class="in" vector-effect="non-scaling-stroke"/>
        <path class="out" vector-effect="non-scaling-stroke"/></svg></section>
    <section class="panel"><h2>Memory and queues</h2><div id="meters"></div></section>
  </div>
  <footer><a href="/status">status</a><a href="/metrics">metrics</a><a href="/ready">ready</a>
    <span id="books"></span></footer>
</main>
)html"
                                   R"html(<script>
'use strict';
const byId = (id) => document.getElementById(id);
const make = (tag, className, text) => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
};
const count = (n) => Math.round(n || 0).toLocaleString('en');
const size = (n) => {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  n = n || 0;
  while (n >= 1024 && unit < 4) { n /= 1024; unit++; }
  return (unit && n < 100 ? n.toFixed(1) : count(n)) + ' ' + units[unit];
};
const age = (s) => s < 120 ? count(s) + ' s' : s < 7200 ? count(s / 60) + ' min'
  : Math.floor(s / 3600) + ' h ' + Math.floor(s / 60 % 60) + ' min';

// Counters of all streams together.
const sum = (books) => {
  const total = {};
  for (const stream of Object.values(books || {}))
    for (const [name, value] of Object.entries(stream)) total[name] = (total[name] || 0) + value;
  return total;
};

// title, thread prefix, [number, unit] of the big figure, smaller lines
const stages = {
  ingest: [
    ['Receive', 'receive', (b, r) => [size(r.bytes_received) + '/s', ''], (b, r, s) => [
      ['connections', count(s.connections)], ['refused', count(b.connections_refused)],
      ['received', size(b.bytes_received)]]],
    ['Frame', 'frame', (b, r) => [count(r.events_framed), 'events/s'], (b) => [
      ['events', count(b.events_framed)], ['malformed', count(b.malformed_framed)],
      ['unfinished', size(b.bytes_framing)]]],
    ['Spool', 'spool', (b, r) => [count(r.group_commits), 'syncs/s'], (b, r) => [
      ['durable', count(b.events_durable)],
      ['a sync takes', r.group_commits > 0
        ? (r.sync_nanoseconds / r.group_commits / 1e6).toFixed(1) + ' ms' : '–'],
      ['abandoned segments', count(b.segments_abandoned)]]],
  ],
  egress: [
    ['Rotate', 'rotate', (b) => [count(b.segments_in_spool), 'segments waiting'], (b) => [
      ['switched', count(b.segments_switched)], ['done', count(b.segments_done)],
      ['torn, damaged', size((b.bytes_torn || 0) + (b.bytes_damaged || 0))]]],
    ['Validate', 'validate', (b, r) => [count(r.events_validated), 'events/s'], (b) => [
      ['well-formed', count(b.events_validated)], ['rejected', count(b.events_rejected)],
      ['quarantined', count(b.pieces_quarantined)]]],
    ['Convert', 'convert', (b, r) => [size(r.bytes_converted) + '/s', ''], (b) => [
      ['converted', size(b.bytes_converted)]]],
    ['Upload', 'upload', (b, r) => [count(r.events_uploaded), 'events/s'], (b) => [
      ['objects', count(b.objects_uploaded)], ['events', count(b.events_uploaded)],
      ['retries', count(b.upload_retries)], ['set aside', count(b.pieces_set_aside)]]],
  ],
};

const showThreads = (threads) => {
  const dots = make('span', 'threads');
  for (const thread of threads) {
    const late = !thread.waiting && thread.heartbeat_age_ms > 10000;
    const dot = make('i', thread.ended ? '' : late ? 'late' : thread.waiting ? '' : 'busy');
    dot.title = thread.name + (thread.ended ? ': ended' : thread.waiting ? ': waiting'
      : ': working for ' + thread.heartbeat_age_ms + ' ms');
    dots.append(dot);
  }
  return dots;
};

const showHalf = (id, books, rates, status) => {
  const cards = stages[id].map(([title, prefix, figure, lines]) => {
    const card = make('li', 'stage');
    const head = make('h3', '', title);
    head.append(showThreads((status.threads || []).filter(
      (thread) => String(thread.name).toLowerCase().startsWith(prefix))));
    const [number, unit] = figure(books, rates);
    const rate = make('div', 'rate', number + ' ');
    rate.append(make('small', '', unit));
    const list = make('dl');
    for (const [name, value] of lines(books, rates, status))
      list.append(make('dt', '', name), make('dd', '', value));
    card.append(head, rate, list);
    return card;
  });
  byId(id).replaceChildren(...cards);
};

const showDisk = (books, spool) => {
  const facts = [count(books.pieces_in_spool) + ' events in the spool',
    size(books.bytes_on_disk) + (spool.bytes_max ? ' of ' + size(spool.bytes_max) : '') + ' used',
    !books.pieces_in_spool ? 'everything uploaded'
      : spool.oldest_event_age_seconds > 0
        ? 'oldest event not uploaded: ' + age(spool.oldest_event_age_seconds)
        : 'none waits for its upload'];
  document.querySelector('#disk ul').replaceChildren(...facts.map((fact) => make('li', '', fact)));
  document.querySelector('#disk p').textContent =
    'what is above answers only for what is synced here · what is below begins again from here · ' + (spool.dir || '');
};

const meter = (name, used, max, text) => {
  const share = max > 0 ? used / max : 0;
  const box = make('div', share > 0.95 ? 'meter full' : 'meter');
  const bar = make('i');
  bar.style.width = Math.min(100, share * 100) + '%';
  const track = make('div');
  track.append(bar);
  box.append(make('span', '', name), make('span', 'quiet', text), track);
  return box;
};

const showMeters = (status) => {
  const memory = Object.entries(status.memory || {}).map(([half, m]) =>
    meter(half + ' memory', m.used, m.max, size(m.used) + ' of ' + size(m.max)));
  // Queues of one name (a lane each) as one line.
  const queues = new Map();
  for (const queue of status.queues || []) {
    const name = String(queue.name).replace(/[-_.#/ ]?\d+$/, '');
    const all = queues.get(name) || {size: 0, capacity: 0};
    queues.set(name, {size: all.size + queue.size, capacity: all.capacity + queue.capacity});
  }
  byId('meters').replaceChildren(...memory, ...[...queues].map(([name, queue]) =>
    meter(name, queue.size, queue.capacity, queue.size + ' / ' + queue.capacity)));
};

const showConditions = (status) => {
  const bad = (condition) => condition.severity === 'not_ready';
  const sorted = (status.conditions || []).slice().sort((a, b) => bad(b) - bad(a));
  byId('conditions').replaceChildren(...sorted.map((condition) => {
    const box = make('div', bad(condition) ? 'condition bad' : 'condition');
    box.append(make('b', '', condition.name), make('span', '', condition.message + ' '),
      make('span', 'quiet', 'since ' + condition.since));
    return box;
  }));
};

const history = [];  // [received, uploaded] a second
const showHistory = () => {
  const peak = Math.max(1, ...history.flat());
  const path = (column) => history.map((point, i) =>
    (i ? 'L' : 'M') + (600 - (history.length - 1 - i) * 5).toFixed(1) + ' ' +
    (130 - point[column] / peak * 124).toFixed(1)).join('');
  document.querySelector('path.in').setAttribute('d', path(0));
  document.querySelector('path.area').setAttribute('d', history.length > 1
    ? path(0) + 'V132H' + (600 - (history.length - 1) * 5) + 'Z' : '');
  document.querySelector('path.out').setAttribute('d', path(1));
  byId('peak').textContent = 'peak ' + count(peak);
};

let before = null;
const show = (status) => {
  const books = sum(status.books);
  const now = performance.now();
  const rates = {};
  if (before) {
    for (const name in books)
      rates[name] = Math.max(0, (books[name] - before.books[name]) * 1000 / (now - before.at)) || 0;
    history.push([rates.events_framed || 0, rates.events_uploaded || 0]);
    if (history.length > 121) history.shift();
  }
  before = {books, at: now};
  const badge = byId('badge');
  badge.textContent = status.ready ? 'ready' : 'not ready';
  badge.className = status.ready ? 'badge' : 'badge bad';
  document.title = (status.ready ? '' : '⚠ ') + 'Sluice ' + (status.instance || '');
  byId('about').textContent = [status.version, status.instance, status.started_at &&
    'running for ' + age((Date.now() - Date.parse(status.started_at)) / 1000)]
    .filter(Boolean).join(' · ');
  showConditions(status);
  showHalf('ingest', books, rates, status);
  showDisk(books, status.spool || {});
  showHalf('egress', books, rates, status);
  showHistory();
  showMeters(status);
  byId('books').textContent = books.difference === undefined ? ''
    : books.difference === 0 ? 'the books balance'
    : 'between two stages: ' + size(Math.abs(books.difference_bytes)) + ', ' +
      count(Math.abs(books.difference_pieces)) + ' events';
};

const poll = async () => {
  try {
    const answer = await fetch('/status', {signal: AbortSignal.timeout(5000)});
    if (!answer.ok) throw new Error('status ' + answer.status);
    show(await answer.json());
    document.body.className = '';
  } catch (error) {
    document.body.className = 'stale';
    byId('badge').textContent = 'no answer';
    byId('badge').className = 'badge bad';
  }
  setTimeout(poll, 1000);
};
poll();
</script>
</body>
</html>
)html";

}  // namespace sluice
