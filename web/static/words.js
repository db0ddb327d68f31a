// What happened, in plain sentences.

// what a cause of JsSIP means to a person, after the name of the other side
const causes = {
  'Busy': 'is busy.', 'Rejected': 'declined the call.', 'Unavailable': 'cannot be reached.', 'Not Found': 'is not known here.',
  'No Answer': 'did not answer.', 'Request Timeout': 'cannot be reached.', 'Address Incomplete': 'is not a whole number.',
  'User Denied Media Access': 'was not called: the browser may not use the microphone.',
  'WebRTC Error': 'was not reached: the audio connection could not be set up.',
  'Incompatible SDP': 'was not reached: the two sides share no way of coding sound.',
  'RTP Timeout': 'was lost: no more audio came through.', 'Connection Error': 'was lost: the server cannot be reached.',
  'Internal Error': 'was lost: something failed in this browser.', 'Authentication Error': 'may not be called from this account.',
};

// elsewhere says whether a call that came was taken at another phone of the user's (RFC 3326)
function elsewhere({ message }) {
  const reason = message && message.hasHeader && message.hasHeader('Reason') ? message.getHeader('Reason') : '';
  return /^\s*SIP\b.*;\s*cause\s*=\s*200\b/i.test(reason);
}

// outcome is what the history says of a call.
export function outcome({ incoming, established, originator, message }) {
  if (established) return 'answered';
  if (!incoming) return 'unanswered';
  if (originator === 'local') return 'declined';
  return elsewhere({ message }) ? 'elsewhere' : 'missed';
}

// ending tells how a call to or from name came to its end: {text, kind}.
export function ending({ name, incoming, established, originator, cause, message }) {
  if (incoming && !established && elsewhere({ message })) return { text: `The call from ${name} was answered elsewhere.`, kind: '' };
  if (cause === 'Terminated') return { text: 'Call ended.', kind: '' };
  if (cause === 'Canceled') {
    return incoming && originator !== 'local' ? { text: `You missed a call from ${name}.`, kind: '' } : { text: 'Call ended.', kind: '' };
  }
  if (incoming && !established && originator === 'local') return { text: `You declined the call from ${name}.`, kind: '' };
  return causes[cause] ? { text: `${name} ${causes[cause]}`, kind: '' } : { text: `The call to ${name} ended: ${cause}.`, kind: 'error' };
}

// wrong says whether a registration was refused for its user or password.
export function wrong(status) { return [401, 403, 407].includes(status); }

// refusal tells why a registration was refused.
export function refusal(status, cause) {
  if (wrong(status)) return 'User or password is wrong.';
  if (status === 503) return 'The server takes nobody at the moment; the phone tries again.';
  return `The server refused the registration: ${cause}${status ? ` (${status})` : ''}.`;
}

// microphone tells why getUserMedia gave none, by the name of its DOMException.
export function microphone(error) {
  const reasons = {
    NotAllowedError: 'The browser may not use the microphone: allow it beside the address bar.',
    NotFoundError: 'No microphone was found: plug one in, or choose another in the settings.',
    NotReadableError: 'The microphone does not open: another program may hold it.',
  };
  return reasons[error && error.name] || 'The microphone could not be opened.';
}

// path tells what a connection that is not the direct one means; empty for the direct one.
export function path(kind, protocol) {
  if (kind === 'relay' && protocol === 'udp') return 'The direct path to the server is shut: using the relay.';
  if (kind === 'relay') return 'Your network blocks UDP: using the relay.';
  if (kind === 'TCP') return 'Your network blocks UDP: using TCP.';
  return '';
}

const lossy = 0.05, slow = 0.4; // shares of packets and seconds from which on a person notices

// trouble tells what is wrong with the sound of a call, by what Quality.sample found; empty when nothing is.
export function trouble({ lossIn, lossOut, roundTrip, deaf }) {
  if (deaf) return 'Nothing comes from the other side: they may not be heard.';
  if (lossIn > lossy) return 'Packets are lost on the way to you: the sound may have gaps.';
  if (lossOut > lossy) return 'Packets are lost on the way from you: the other side may hear gaps.';
  if (roundTrip > slow) return 'The connection is slow: what is said arrives late.';
  return '';
}

// span writes seconds as 00:00 or 0:00:00.
export function span(seconds) {
  const two = (n) => String(n).padStart(2, '0');
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return h ? `${h}:${two(m)}:${two(s)}` : `${two(m)}:${two(s)}`;
}
