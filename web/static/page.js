// The page: its elements, and drawing them from what the phone knows.
import { grade } from './quality.js';
import * as words from './words.js';

export const $ = (id) => document.getElementById(id);
const titles = { incoming: 'is calling', calling: 'Calling…', ringing: 'Ringing…', connecting: 'Connecting…', ending: 'Hanging up when the connection is back…' };
const views = ['dialer', 'history', 'settings'];
const parts = ['account', ...views, 'call'];

// show brings one part of the page to the front and the focus to where a person goes on; views are shown together with their tabs.
export function show(part) {
  if (!$(part).hidden) return;
  for (const id of parts) $(id).hidden = id !== part;
  $('views').hidden = !views.includes(part);
  for (const tab of $('views').children) press(tab, tab.dataset.view === part);
  if (part === 'dialer') write('target');
  if (part === 'account') write('user');
  if (part === 'call') $('call').focus();
}

// write brings the focus to a field, but for a finger: there a keyboard would cover the page
export function write(field) {
  if (!matchMedia('(hover: none) and (pointer: coarse)').matches) $(field).focus();
}

// drawTarget shows what can be done with what is dialled
export function drawTarget() { $('erase').hidden = $('target').value === ''; }

export function showing(part) { return !$(part).hidden; }

// registration shows a state (off, wait, on, failed) in words; of who is registered the name is enough for those who see the colour
export function registration(state, text) {
  const [hidden, name] = [document.createElement('span'), document.createElement('span')];
  hidden.className = 'read';
  hidden.textContent = state === 'on' ? 'Registered as ' : '';
  name.textContent = text;
  $('registration').dataset.state = state;
  $('registration').replaceChildren(hidden, name);
}

export function notice(text, kind = '') {
  $('notice').textContent = text;
  $('notice').dataset.kind = kind;
}

export function press(element, on) { element.setAttribute('aria-pressed', String(on)); }

// icon gives a picture of icons.svg
export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  use.setAttribute('href', `icons.svg#${name}`);
  svg.append(use);
  return svg;
}

// drawCall shows the call in front
export function drawCall(call) {
  const talking = call.state === 'talking';
  const visible = {
    answer: call.state === 'incoming', complete: talking && Boolean(call.consultFor), mute: talking, hold: talking, keypad: talking,
    pass: talking && !call.consultFor, another: talking, sound: talking, quality: talking, levels: talking,
  };
  for (const [id, on] of Object.entries(visible)) $(id).hidden = !on;
  if (!talking) for (const [button, panel] of [['keypad', 'keys'], ['pass', 'transfer']]) toggle(button, panel, false);
  $('call').dataset.state = call.state;
  drawFace(call.name);
  $('peer').textContent = call.name;
  $('sent').textContent = call.tones;
  $('hangup').lastElementChild.textContent = { incoming: 'Decline', calling: 'Cancel', ringing: 'Cancel' }[call.state] || 'Hang up';
  press($('mute'), call.muted);
  press($('hold'), call.held);
  drawProgress(call);
}

// drawFace shows the initials of a name; a number has a telephone
function drawFace(name) {
  if ($('face').dataset.name === name) return;
  $('face').dataset.name = name;
  const initials = name.split(/[\s._-]+/).map((word) => [...word][0] || '').filter((c) => /\p{L}/u.test(c));
  $('face').replaceChildren(initials.length ? [initials[0], initials.length > 1 ? initials.at(-1) : ''].join('').toUpperCase() : icon('phone'));
}

export function drawProgress(call) {
  const holding = call.held && call.farHeld ? 'held by both sides, ' : call.held ? 'on hold, ' : call.farHeld ? 'held by the other side, ' : '';
  const text = titles[call.state] || (call.cut ? 'looking for another path, ' : holding);
  for (const [id, now] of [['progress', text], ['trouble', call.state === 'talking' ? call.trouble : '']]) { // they are read aloud, the clock is not
    if ($(id).textContent !== now) $(id).textContent = now;
  }
  $('clock').textContent = titles[call.state] ? '' : words.span(Math.floor((Date.now() - call.since) / 1000));
}

// toggle opens or closes a panel of the call together with its button; only one is open
export function toggle(button, panel, open = $(panel).hidden) {
  if (open) for (const [other, its] of [['keypad', 'keys'], ['pass', 'transfer']]) if (its !== panel) toggle(other, its, false);
  $(panel).hidden = !open;
  press($(button), open);
}

// drawMissed tells how many calls were missed since the history was looked at
export function drawMissed(count) {
  $('missed').hidden = count === 0;
  const unit = document.createElement('span');
  unit.className = 'read';
  unit.textContent = count === 1 ? ' missed call' : ' missed calls';
  $('missed').replaceChildren(count > 99 ? '99+' : String(count), unit);
}

export function drawHistory(entries, dial) {
  $('nothing').hidden = entries.length > 0;
  $('clear').hidden = entries.length === 0;
  $('past').replaceChildren(...entries.map((entry) => {
    const item = document.createElement('li');
    const button = document.createElement('button');
    const [name, when] = [document.createElement('span'), document.createElement('small')];
    name.textContent = entry.name;
    const date = new Date(entry.at);
    const day = date.toDateString() === new Date().toDateString() ? '' : `${date.toLocaleDateString()} `;
    when.textContent = `${day}${date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })} · ${entry.outcome === 'answered' ? words.span(entry.seconds) : entry.outcome}`;
    button.type = 'button';
    button.dataset.outcome = entry.outcome;
    button.setAttribute('aria-label', `Call ${entry.name} again; ${entry.incoming ? 'came' : 'went'} ${when.textContent}`);
    button.append(icon(entry.incoming ? 'came' : 'went'), name, when);
    button.addEventListener('click', () => dial(entry.target));
    item.append(button);
    return item;
  }));
}

const percent = (share) => share === null ? '–' : `${(100 * share).toFixed(1)} %`;
const milliseconds = (seconds) => seconds === null ? '–' : `${Math.round(1000 * seconds)} ms`;

export function drawQuality(found) {
  $('path').textContent = found.path === 'relay' ? `relay, ${found.protocol.toUpperCase()}` : found.path || '–';
  $('loss-in').textContent = percent(found.lossIn);
  $('loss-out').textContent = percent(found.lossOut);
  $('jitter').textContent = milliseconds(found.jitter);
  $('round-trip').textContent = milliseconds(found.roundTrip);
  $('mos').textContent = found.mos === null ? '–' : found.mos.toFixed(1);
  $('grade').textContent = found.mos === null ? '' : grade(found.mos);
  $('grade').dataset.grade = $('grade').textContent;
}
