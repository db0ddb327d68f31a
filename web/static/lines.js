// The list of calls, when the one in front is not all there is to see.
import { $, icon, showing } from './page.js';

let drawn = '';

// drawLines shows the calls; choose, answer and decline are called with one of them.
export function drawLines(calls, { choose, answer, decline }) {
  $('lines').hidden = calls.all.length === 0 || (calls.all.length === 1 && showing('call'));
  const waits = (call) => call.state === 'incoming' && !(call === calls.current && showing('call'));
  const now = JSON.stringify(calls.all.map((call) => [call.session.id, call.name, state(call), waits(call), call === calls.current]));
  if (now === drawn) return; // nobody's click meets a button that is being replaced
  drawn = now;
  const key = document.activeElement && document.activeElement.dataset.key;
  $('lines').replaceChildren(...calls.all.map((call) => {
    const item = document.createElement('li');
    item.append(line(call, call === calls.current, () => choose(call)));
    if (waits(call)) item.append(action('Answer', 'phone', 'call', call, () => answer(call)), action('Decline', 'end', 'end', call, () => decline(call)));
    return item;
  }));
  if (key) for (const button of $('lines').querySelectorAll('button')) if (button.dataset.key === key) button.focus();
}

function state(call) {
  if (call.state === 'incoming') return 'is calling';
  if (call.state !== 'talking') return call.state;
  return call.held ? 'on hold' : 'talking';
}

function line(call, front, act) {
  const button = document.createElement('button');
  const [name, small] = [document.createElement('span'), document.createElement('small')];
  button.type = 'button';
  button.className = 'line';
  button.dataset.state = call.state;
  button.dataset.key = call.session.id;
  name.textContent = call.name;
  small.textContent = state(call);
  button.append(name, small);
  button.setAttribute('aria-label', `${call.name}, ${small.textContent}`);
  button.setAttribute('aria-current', String(front));
  button.addEventListener('click', act);
  return button;
}

function action(word, picture, kind, call, act) {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = kind;
  button.dataset.key = `${word} ${call.session.id}`;
  button.setAttribute('aria-label', `${word} ${call.name}`);
  button.title = word;
  button.append(icon(picture));
  button.addEventListener('click', act);
  return button;
}
