// The page: its elements, and drawing them from what the phone knows.
import { grade } from './quality.js';
import * as words from './words.js';

export const $ = (id) => document.getElementById(id);
const keys = [['1', ''], ['2', 'ABC'], ['3', 'DEF'], ['4', 'GHI'], ['5', 'JKL'], ['6', 'MNO'], ['7', 'PQRS'], ['8', 'TUV'], ['9', 'WXYZ'], ['*', ''], ['0', '+'], ['#', '']];
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

export function registration(state, text) {
  $('registration').dataset.state = state;
  $('registration').textContent = text;
}

export function notice(text, kind = '') {
  $('notice').textContent = text;
  $('notice').dataset.kind = kind;
}

export function press(element, on) { element.setAttribute('aria-pressed', String(on)); }

// drawCall shows the call in front
export function drawCall(call) {
  const talking = call.state === 'talking';
  const visible = {
    answer: call.state === 'incoming', complete: talking && Boolean(call.consultFor), mute: talking, hold: talking, keypad: talking,
    pass: talking && !call.consultFor, another: talking, quality: talking, levels: talking,
  };
  for (const [id, on] of Object.entries(visible)) $(id).hidden = !on;
  if (!talking) for (const [button, panel] of [['keypad', 'keys'], ['pass', 'transfer']]) toggle(button, panel, false);
  $('peer').textContent = call.name;
  $('hangup').textContent = { incoming: 'Decline', calling: 'Cancel', ringing: 'Cancel' }[call.state] || 'Hang up';
  press($('mute'), call.muted);
  press($('hold'), call.held);
  drawProgress(call);
}

export function drawProgress(call) {
  const holding = call.held && call.farHeld ? 'held by both sides, ' : call.held ? 'on hold, ' : call.farHeld ? 'held by the other side, ' : '';
  const text = titles[call.state] || holding;
  if ($('progress').textContent !== text) $('progress').textContent = text; // it is read aloud, the clock is not
  $('clock').textContent = titles[call.state] ? '' : words.span(Math.floor((Date.now() - call.since) / 1000));
}

// toggle opens or closes a panel of the call together with its button
export function toggle(button, panel, open = $(panel).hidden) {
  $(panel).hidden = !open;
  press($(button), open);
}

// drawLines lists the calls when the one in front is not all there is to see
export function drawLines(calls, select) {
  $('lines').hidden = calls.all.length === 0 || (calls.all.length === 1 && showing('call'));
  $('lines').replaceChildren(...calls.all.map((call) => {
    const item = document.createElement('li');
    const button = document.createElement('button');
    const state = document.createElement('small');
    button.type = 'button';
    button.dataset.state = call.state;
    state.textContent = call.state === 'talking' ? (call.held ? 'on hold' : 'talking') : call.state === 'incoming' ? 'is calling' : call.state;
    button.append(call.name, state);
    button.setAttribute('aria-label', `${call.name}, ${state.textContent}`);
    button.setAttribute('aria-current', String(call === calls.current));
    button.addEventListener('click', () => select(call));
    item.append(button);
    return item;
  }));
}

export function drawHistory(entries, dial) {
  $('nothing').hidden = entries.length > 0;
  $('clear').hidden = entries.length === 0;
  $('past').replaceChildren(...entries.map((entry) => {
    const item = document.createElement('li');
    const button = document.createElement('button');
    const [arrow, name, when] = [document.createElement('span'), document.createElement('span'), document.createElement('small')];
    arrow.textContent = entry.incoming ? '↙' : '↗';
    name.textContent = entry.name;
    const date = new Date(entry.at);
    const day = date.toDateString() === new Date().toDateString() ? '' : `${date.toLocaleDateString()} `;
    when.textContent = `${day}${date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })} · ${entry.outcome === 'answered' ? words.span(entry.seconds) : entry.outcome}`;
    button.type = 'button';
    button.dataset.outcome = entry.outcome;
    button.setAttribute('aria-label', `Call ${entry.name} again; ${entry.incoming ? 'came' : 'went'} ${when.textContent}`);
    button.append(arrow, name, when);
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

// pad fills an element with the keys of a telephone
export function pad(element, pressed) {
  for (const [digit, letters] of keys) {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = digit;
    button.setAttribute('aria-label', digit === '*' ? 'star' : digit === '#' ? 'hash' : digit);
    const small = document.createElement('small');
    small.textContent = letters;
    button.append(small);
    button.addEventListener('click', () => pressed(digit));
    element.append(button);
  }
}
