// The phone: JsSIP, one call at a time. The parts: the account, the call, the page. levels.js draws the level meters,
// ring.js makes the ringing.
import { Levels } from './levels.js';
import { Ring } from './ring.js';

const $ = (id) => document.getElementById(id);
const levels = new Levels($('level-out'), $('level-in'));
const ring = new Ring();
const keys = [['1', ''], ['2', 'ABC'], ['3', 'DEF'], ['4', 'GHI'], ['5', 'JKL'], ['6', 'MNO'], ['7', 'PQRS'], ['8', 'TUV'], ['9', 'WXYZ'], ['*', ''], ['0', '+'], ['#', '']];

let ua = null;
let session = null;
let clock = 0;

// --- the account ---

function domain() { return $('domain').value.trim() || location.hostname; }

function register(event) {
  event.preventDefault();
  const user = $('user').value.trim();
  if (!user) return;
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
  leave();
  try {
    ua = new JsSIP.UA({
      sockets: [new JsSIP.WebSocketInterface(`${scheme}://${location.host}/sip`)],
      uri: `sip:${encodeURIComponent(user)}@${domain()}`,
      password: $('password').value || 'none',
      user_agent: 'Tandem phone',
    });
  } catch (error) {
    notice(`This account cannot be used: ${error.message}`, 'error');
    return;
  }
  ua.on('connecting', () => registration('wait', 'Connecting…'));
  ua.on('disconnected', () => registration('failed', 'No connection'));
  ua.on('connected', () => registration('wait', 'Registering…'));
  ua.on('registered', () => registered(user));
  ua.on('unregistered', () => registration('off', 'Not registered'));
  ua.on('registrationFailed', (e) => refused(e));
  ua.on('newRTCSession', ({ session: s }) => begin(s));
  ua.start();
}

function registered(user) {
  registration('on', user);
  localStorage.setItem('user', user);
  localStorage.setItem('domain', $('domain').value.trim());
  notice('');
  if (!session) show('dialer');
}

function refused({ response, cause }) {
  registration('failed', 'Not registered');
  const status = response ? response.status_code : 0;
  if (status === 401 || status === 403 || status === 407) notice('User or password is wrong.', 'error');
  else notice(`The server refused the registration: ${cause}${status ? ` (${status})` : ''}.`, 'error');
  if (!session) show('account');
}

function leave() {
  if (!ua) return;
  ua.stop();
  ua = null;
  registration('off', 'Not registered');
  show('account');
}

function registration(state, text) {
  $('registration').dataset.state = state;
  $('registration').textContent = text;
}

// --- the call ---

const microphone = { audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true }, video: false };

async function iceServers() {
  try {
    const answer = await fetch('ice.json', { cache: 'no-store' });
    return (await answer.json()).iceServers || [];
  } catch {
    return [];
  }
}

async function dial(target) {
  target = target.trim();
  if (!target || !ua || session) return;
  notice('');
  const pcConfig = { iceServers: await iceServers() };
  try {
    ua.call(target.includes('@') ? target : `sip:${encodeURIComponent(target)}@${domain()}`, { mediaConstraints: microphone, pcConfig });
  } catch (error) {
    notice(`"${target}" cannot be called: ${error.message}`, 'error');
  }
}

function begin(s) {
  if (session) {
    s.terminate({ status_code: 486 });
    return;
  }
  session = s;
  const incoming = s.direction === 'incoming';
  $('peer').textContent = s.remote_identity.display_name || decodeURIComponent(s.remote_identity.uri.user || '');
  progress(incoming ? 'is calling' : 'Calling…');
  buttons({ answer: incoming, hangup: true });
  $('hangup').textContent = incoming ? 'Decline' : 'Cancel';
  show('call');
  if (incoming) ring.start('bell');
  s.on('progress', ({ response }) => {
    if (incoming) return;
    progress('Ringing…');
    if (response && response.body) ring.stop(); else ring.start('ringback');
  });
  s.on('accepted', () => { ring.stop(); progress('Connecting…'); });
  s.on('confirmed', () => talking());
  s.on('hold', () => held());
  s.on('unhold', () => held());
  s.on('failed', (e) => finish(e, incoming));
  s.on('ended', (e) => finish(e, incoming));
  if (s.connection) listen(s.connection); else s.on('peerconnection', ({ peerconnection }) => listen(peerconnection));
}

function listen(connection) {
  connection.addEventListener('track', ({ track }) => {
    if (track.kind !== 'audio') return;
    const stream = new MediaStream([track]);
    $('far').srcObject = stream;
    levels.hear(stream);
    ring.stop();
  });
}

async function answer() {
  if (!session) return;
  ring.stop();
  session.answer({ mediaConstraints: microphone, pcConfig: { iceServers: await iceServers() } });
}

function talking() {
  const own = session.connection.getSenders().map((s) => s.track).filter((t) => t && t.kind === 'audio');
  if (own.length) levels.speak(new MediaStream(own));
  const since = Date.now();
  clearInterval(clock);
  const tick = () => {
    const seconds = Math.floor((Date.now() - since) / 1000);
    progress(`${String(Math.floor(seconds / 60)).padStart(2, '0')}:${String(seconds % 60).padStart(2, '0')}`);
  };
  tick();
  clock = setInterval(tick, 1000);
  $('hangup').textContent = 'Hang up';
  buttons({ mute: true, hold: true, keypad: true, hangup: true });
}

function held() {
  const { local, remote } = session.isOnHold();
  press('hold', local);
  notice(local && remote ? 'Both sides hold the call.' : local ? 'On hold.' : remote ? 'The other side holds the call.' : '');
}

// what a cause of JsSIP means to a person
const words = {
  'Busy': 'is busy.', 'Rejected': 'declined the call.', 'Unavailable': 'cannot be reached.', 'Not Found': 'is not known here.',
  'No Answer': 'did not answer.', 'Canceled': '', 'Terminated': '', 'User Denied Media Access': 'was not called: the browser may not use the microphone.',
  'WebRTC Error': 'was not reached: the audio connection could not be set up.', 'RTP Timeout': 'was lost: no more audio came through.',
};

function finish({ originator, cause }, incoming) {
  const name = $('peer').textContent;
  ring.stop();
  levels.stop();
  clearInterval(clock);
  session = null;
  $('far').srcObject = null;
  press('mute', false); press('hold', false); press('keypad', false);
  $('keys').hidden = true;
  show(ua ? 'dialer' : 'account');
  if (cause === 'Canceled' && incoming) notice(`You missed a call from ${name}.`);
  else if (originator !== 'local' && words[cause] === undefined) notice(`The call to ${name} ended: ${cause}.`, 'error');
  else notice(words[cause] ? `${name} ${words[cause]}` : 'Call ended.');
}

function toggleMute() {
  const muted = !session.isMuted().audio;
  if (muted) session.mute({ audio: true }); else session.unmute({ audio: true });
  press('mute', muted);
}

function toggleHold() {
  const local = session.isOnHold().local;
  const sent = local ? session.unhold() : session.hold();
  if (!sent) notice('One moment: the call is being changed.');
}

function key(tone) {
  if (session && session.isEstablished()) session.sendDTMF(tone, { transportType: 'RFC2833' });
}

// --- the page ---

function show(part) {
  for (const id of ['account', 'dialer', 'call']) $(id).hidden = id !== part;
  if (part === 'dialer') $('target').focus();
}

function progress(text) { $('progress').textContent = text; }

function notice(text, kind = '') {
  $('notice').textContent = text;
  $('notice').dataset.kind = kind;
}

function press(id, on) { $(id).setAttribute('aria-pressed', String(on)); }

function buttons(visible) {
  for (const id of ['answer', 'mute', 'hold', 'keypad', 'hangup']) $(id).hidden = !visible[id];
}

function pad(element, press) {
  for (const [digit, letters] of keys) {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = digit;
    button.setAttribute('aria-label', digit === '*' ? 'star' : digit === '#' ? 'hash' : digit);
    const small = document.createElement('small');
    small.textContent = letters;
    button.append(small);
    button.addEventListener('click', () => press(digit));
    element.append(button);
  }
}

pad($('pad'), (digit) => { $('target').value += digit; $('target').focus(); });
pad($('keys'), key);
$('account').addEventListener('submit', register);
$('dial').addEventListener('submit', (e) => { e.preventDefault(); dial($('target').value); });
for (const link of document.querySelectorAll('[data-dial]')) link.addEventListener('click', () => dial(link.dataset.dial));
$('leave').addEventListener('click', leave);
$('answer').addEventListener('click', answer);
$('hangup').addEventListener('click', () => session && session.terminate());
$('mute').addEventListener('click', toggleMute);
$('hold').addEventListener('click', toggleHold);
$('keypad').addEventListener('click', () => { $('keys').hidden = !$('keys').hidden; press('keypad', !$('keys').hidden); });
document.addEventListener('keydown', (e) => { if (session && session.isEstablished() && /^[0-9*#]$/.test(e.key)) key(e.key); });
window.addEventListener('pagehide', () => { if (ua) ua.stop(); });
$('user').value = localStorage.getItem('user') || '';
$('domain').value = localStorage.getItem('domain') || '';
$('domain').placeholder = location.hostname;
if (!window.isSecureContext) notice('This page is not a secure context: the browser gives no microphone. Open it by https or at 127.0.0.1.', 'error');
