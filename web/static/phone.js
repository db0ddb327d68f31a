// The phone: brings the account, the calls, the devices and the page together.
import { Account } from './account.js';
import { Calls } from './calls.js';
import { Devices } from './devices.js';
import { History } from './history.js';
import { Levels } from './levels.js';
import { drawLines } from './lines.js';
import * as microphone from './microphone.js';
import { pad } from './pad.js';
import { Ring } from './ring.js';
import { $, drawCall, drawHistory, drawMissed, drawProgress, drawQuality, drawTarget, notice, press, registration, show, showing, toggle, write } from './page.js';
import * as words from './words.js';

const sampling = 2000; // ms between two looks at a connection
const ring = new Ring();
const levels = new Levels({ out: $('level-out'), into: $('level-in'), test: $('level-test') });
const history = new History(localStorage);
const devices = new Devices(localStorage, { microphone: $('microphone'), speaker: $('speaker') }, [$('far'), ring]);
const test = new microphone.Test((stream) => { levels.follow('test', stream); press($('test-microphone'), Boolean(stream)); });
const calls = new Calls({ changed: draw, began, finished, failed: (error) => notice(words.microphone(error), 'error') }, () => account.online);
const account = new Account(localStorage, sessionStorage, {
  state: registration,
  registered,
  refused(status, cause) {
    notice(words.refusal(status, cause), 'error');
    calls.recover();
    if (calls.all.length === 0) show('account');
    if (words.wrong(status)) {
      $('password').setAttribute('aria-invalid', 'true');
      write('password');
    }
  },
  lost() { if (calls.talking) notice('The connection to the server is lost; the call goes on. Trying again…', 'error'); },
  session: (session) => calls.add(session),
});
const title = document.title;
let said = ''; // the last sentence about the path

// --- the account ---

function register() {
  const user = $('user').value.trim();
  if (!user) return;
  $('password').removeAttribute('aria-invalid');
  try {
    account.start({ user, domain: $('domain').value.trim(), password: $('password').value, keep: $('remember').checked });
  } catch (error) {
    notice(`This account cannot be used: ${error.message}`, 'error');
  }
}

function registered() {
  notice('');
  calls.recover();
  if (showing('account')) show('dialer');
}

function leave() {
  account.leave();
  notice('');
  show('account');
  offer();
}

// offer shows the accounts that this browser remembers
function offer() {
  const all = account.remembered;
  $('remembered').hidden = all.length < 2;
  $('forget').hidden = all.length === 0;
  $('accounts').replaceChildren(...all.map((a, i) => new Option(a.domain ? `${a.user}@${a.domain}` : a.user, i)));
  fill(all[0]);
}

function fill(remembered) {
  const { user = '', domain = '', password } = remembered || {};
  $('user').value = user;
  $('domain').value = domain;
  $('password').value = password || '';
  $('remember').checked = password !== undefined;
}

// --- calls ---

async function media() {
  let iceServers = [];
  try {
    iceServers = (await (await fetch('ice.json', { cache: 'no-store' })).json()).iceServers || [];
  } catch {
    // the gateway is reached without them, or not at all: the call tells
  }
  return { mediaConstraints: devices.constraints(), pcConfig: { iceServers } };
}

// dial calls a target; of none it shows the last one, for whom Call is pressed again
async function dial(target, consultFor = null) {
  target = target.trim();
  if (!target) {
    $('target').value = account.typed(history.last);
    drawTarget();
    write('target');
  }
  if (!target || !account.ua) return;
  notice('');
  const options = await media();
  calls.consulting = consultFor;
  try {
    account.ua.call(account.address(target), options);
    $('target').value = '';
    drawTarget();
  } catch {
    notice(`“${target}” cannot be called: it is neither a number nor a name nor an address.`, 'error');
  }
  calls.consulting = null;
}

function began(call) {
  if (call === calls.current) show('call');
  else notice(`${call.name} is calling.`);
  if (call.incoming && document.hidden && $('notify').checked && Notification.permission === 'granted') {
    const shown = new Notification(`${call.name} is calling`, { icon: 'icon.svg', tag: call.session.id });
    shown.addEventListener('click', () => { window.focus(); shown.close(); });
    call.session.on('accepted', () => shown.close());
    call.session.on('failed', () => shown.close());
  }
  draw();
}

function finished(call, why) {
  const seconds = call.since ? Math.floor((Date.now() - call.since) / 1000) : 0;
  const end = { name: call.name, incoming: call.incoming, established: Boolean(call.since), ...why };
  history.add({ name: call.name, target: call.target, incoming: call.incoming, outcome: words.outcome(end), at: call.at, seconds });
  drawMissed(history.missed);
  said = '';
  if (why.cause !== 'User Denied Media Access') {
    const { text, kind } = words.ending(end);
    notice(text, kind);
  }
  if (calls.all.length === 0) show(account.ua ? 'dialer' : 'account');
  else show('call');
  draw();
}

async function answer(call) {
  const options = await media();
  if (call.state !== 'incoming') return;
  notice('');
  calls.answer(call);
  call.session.answer(options);
  show('call');
  draw();
}

function select(call) {
  notice('');
  calls.select(call);
  show('call');
  draw();
  $('call').focus();
}

async function transfer(event) {
  event.preventDefault();
  const target = $('heir').value.trim();
  if (target) await hand(calls.current, account.address(target), target);
}

function consult() {
  const call = calls.current;
  const target = $('heir').value.trim();
  if (target) dial(target, call);
}

function complete() {
  const call = calls.current;
  hand(call.consultFor, call.target, call.name, call);
}

// hand transfers a call and tells how that went; after it the user is out of it
async function hand(call, address, name, other) {
  notice(`Transferring to ${name}…`);
  try {
    await call.transfer(address, other);
    for (const c of [call, other]) if (c) c.end();
    notice(`${call.name} was transferred to ${name}.`);
  } catch (error) {
    notice(`The transfer to ${name} failed: ${error.message}.`, 'error');
  }
}

// --- what is seen and heard ---

function draw() {
  const call = calls.current;
  const ringing = calls.ringing;
  document.title = ringing ? `${ringing.name} is calling – ${title}` : title;
  drawLines(calls, { choose: select, answer, decline: (c) => c.end() });
  if (call) drawCall(call);
  $('far').srcObject = call && call.stream;
  levels.follow('into', call && call.stream);
  levels.follow('out', call && call.own);
  if (ringing && $('bell').checked) ring.play(calls.talking ? 'waiting' : 'bell');
  else ring.play(call && call.state === 'ringing' && !call.stream ? 'ringback' : '');
}

async function sample() {
  const call = calls.current;
  if (!call || !call.quality) return;
  const found = await call.quality.sample(!call.held && !call.farHeld);
  if (call !== calls.current || call.state !== 'talking') return;
  drawQuality(found);
  call.trouble = words.trouble(found);
  drawProgress(call);
  const sentence = words.path(found.path, found.protocol);
  if (sentence && sentence !== said) notice(sentence);
  said = sentence || said;
}

async function changeMicrophone() {
  try {
    await microphone.change(calls.all, devices.constraints());
    draw();
  } catch (error) {
    notice(words.microphone(error), 'error');
  }
}

async function testMicrophone() {
  try {
    await test.toggle(devices.constraints());
  } catch (error) {
    notice(words.microphone(error), 'error');
  }
  devices.list();
}

async function allowNotifications() {
  if (!$('notify').checked) return;
  if (!('Notification' in window) || await Notification.requestPermission() !== 'granted') {
    $('notify').checked = false;
    notice('The browser does not allow notifications from this page.', 'error');
  }
}

function view(part) {
  test.end();
  notice('');
  if (part === 'history') {
    history.seen();
    drawMissed(0);
    drawHistory(history.entries, dial);
  }
  if (part === 'settings') devices.list();
  show(part);
  draw();
}

// remembers a checkbox in this browser
function keep(id) {
  const stored = localStorage.getItem(id);
  if (stored !== null) $(id).checked = stored === 'true';
  $(id).addEventListener('change', () => localStorage.setItem(id, String($(id).checked)));
}

function typed(event) {
  if (event.key === 'Escape' && showing('call')) {
    for (const [button, panel] of [['keypad', 'keys'], ['pass', 'transfer']]) {
      if (!showing(panel)) continue;
      toggle(button, panel, false);
      $(button).focus();
    }
  }
  const writing = ['INPUT', 'SELECT'].includes(document.activeElement && document.activeElement.tagName);
  if (showing('call') && calls.current && !writing && /^[0-9*#]$/.test(event.key)) calls.current.tone(event.key);
}

// on connects a button with what it does
function on(id, act, event = 'click') { $(id).addEventListener(event, act); }

pad($('pad'), (key) => { $('target').value += key; drawTarget(); write('target'); }, true);
pad($('tones'), (key) => calls.current && calls.current.tone(key));
on('account', (e) => { e.preventDefault(); register(); }, 'submit');
on('accounts', () => fill(account.remembered[$('accounts').value]), 'change');
on('forget', () => { account.forget($('user').value.trim(), $('domain').value.trim()); offer(); });
on('target', drawTarget, 'input');
on('erase', () => { $('target').value = $('target').value.slice(0, -1); drawTarget(); write('target'); });
on('dial', (e) => { e.preventDefault(); dial($('target').value); }, 'submit');
for (const link of document.querySelectorAll('[data-dial]')) link.addEventListener('click', () => dial(link.dataset.dial));
for (const tab of $('views').children) tab.addEventListener('click', () => view(tab.dataset.view));
on('clear', () => { history.clear(); drawMissed(0); drawHistory([], dial); });
on('leave', leave);
on('answer', () => answer(calls.current));
on('hangup', () => calls.current && calls.current.end());
on('mute', () => calls.current.mute(!calls.current.muted));
on('hold', () => calls.current.hold(!calls.current.held));
on('keypad', () => toggle('keypad', 'keys'));
on('pass', () => { toggle('pass', 'transfer'); if (showing('transfer')) $('heir').focus(); });
on('transfer', transfer, 'submit');
on('consult', consult);
on('complete', complete);
on('another', () => view('dialer'));
on('sound', () => view('settings'));
on('test-microphone', testMicrophone);
on('test-speaker', () => ring.once('test'));
on('notify', allowNotifications, 'change');
keep('bell');
keep('notify');
devices.microphoneChanged = () => { if (calls.all.length) changeMicrophone(); };
document.addEventListener('keydown', typed);
window.addEventListener('online', () => calls.recover());
window.addEventListener('beforeunload', (e) => { if (calls.all.length) e.preventDefault(); }); // the browser asks first
window.addEventListener('pagehide', () => account.stop());
setInterval(sample, sampling);
setInterval(() => { if (calls.current && calls.current.state === 'talking') drawProgress(calls.current); }, 1000);
$('domain').placeholder = location.hostname;
if ('demo' in document.body.dataset) {
  $('try').hidden = false;
  $('password').placeholder = 'none needed in the demo';
}
offer();
drawMissed(history.missed);
if (account.remembered[0]?.password && !account.left) register();
if (!window.isSecureContext) notice('This page is not a secure context: the browser gives no microphone. Open it by https or at 127.0.0.1.', 'error');
