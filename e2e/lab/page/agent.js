// Agent gives JsSIP and SIP.js one face for the tests. A call is a plain object:
// {id, direction, state: 'new'|'ringing'|'early'|'answered'|'ended', status, cause, reason, was, session, pc, ear, ladder}
'use strict';

// enter notes a call's state, and with which status it came there; a library may tell of the progress after the answer
function enter(call, state, status = call.status) {
  call.was[state] ??= status;
  if ((state === 'ringing' || state === 'early') && (call.state === 'answered' || call.state === 'ended')) return;
  call.status = status;
  call.state = state;
}

class Calls {
  constructor() { this.all = []; }
  add(direction, session) {
    const call = { id: this.all.length, direction, state: 'new', status: 0, cause: '', reason: '', was: {}, session, pc: null, ear: null, peer: '', verstat: '', asserted: '', firstRTP: 0, answeredAt: 0, startedAt: performance.now(), held: false };
    this.all.push(call);
    return call;
  }
}

function watchTracks(call, pc) {
  call.pc = pc;
  const take = (track) => {
    call.ear = new Ear(new MediaStream([track]));
  };
  pc.addEventListener('track', (e) => { if (e.track.kind === 'audio') take(e.track); });
  for (const r of pc.getReceivers()) if (r.track && r.track.kind === 'audio') take(r.track);
}

// firstPacket resolves with performance.now() at the first RTP packet that arrives
async function firstPacket(call) {
  for (;;) {
    if (call.state === 'ended') throw new Error('the call ended: ' + call.cause);
    if (call.pc) {
      for (const s of (await call.pc.getStats()).values()) {
        if (s.type === 'inbound-rtp' && s.packetsReceived > 0) return performance.now() - call.startedAt;
      }
    }
    await new Promise((r) => setTimeout(r, 1));
  }
}

const agents = {};
const makers = { jssip: (o) => new JsSIPAgent(o), sipjs: (o) => new SIPJSAgent(o) };

// what the tests call; each returns a plain value or a promise of one
// only makes every later call offer and take nothing but these audio codecs
function only(codecs) {
  const create = RTCPeerConnection.prototype.createOffer;
  const wanted = (c) => codecs.includes(c.mimeType.toLowerCase());
  const prefer = (pc) => {
    for (const t of pc.getTransceivers()) {
      if (t.receiver.track.kind === 'audio') t.setCodecPreferences(RTCRtpReceiver.getCapabilities('audio').codecs.filter(wanted));
    }
  };
  RTCPeerConnection.prototype.createOffer = function (...args) { prefer(this); return create.apply(this, args); };
  const answer = RTCPeerConnection.prototype.createAnswer;
  RTCPeerConnection.prototype.createAnswer = function (...args) { prefer(this); return answer.apply(this, args); };
}

// hurry makes the page's long timers, those of sessions and registrations, run so many times as fast
function hurry(times) {
  const original = window.setTimeout.bind(window);
  window.setTimeout = (what, delay, ...args) => original(what, delay >= 40000 ? delay / times : delay, ...args);
}

// servers gives every later connection what /ice.json says, of which only URLs with the text are kept
async function servers(url, text, policy) {
  const { iceServers } = await (await fetch(url)).json();
  for (const s of iceServers) s.urls = s.urls.filter((u) => u.includes(text));
  const configuration = { iceServers: iceServers.filter((s) => s.urls.length > 0), iceTransportPolicy: policy };
  const Original = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Original { constructor(c) { super({ ...c, ...configuration }); } };
  return configuration.iceServers.length;
}

const lab = {
  servers(url, text, policy) { return servers(url, text, policy); },
  only(codecs) { only(codecs); },
  hurry(times) { hurry(times); },
  start(name, library, options) {
    agents[name] = makers[library](options);
    return agents[name].start().then(() => audio.resume());
  },
  register(name) { return agents[name].register(); },
  unregister(name) { return agents[name].unregister(); },
  // how many REGISTERs were accepted
  registered(name) { return agents[name].registered; },
  stop(name) { return agents[name].stop(); },
  call(name, target, replaces) { return agents[name].call(target, replaces).id; },
  answer(name, id) { return agents[name].answer(agents[name].calls.all[id]); },
  hangup(name, id) { return agents[name].hangup(agents[name].calls.all[id]); },
  // hangup, unless the far side was first
  leave(name, id) { return agents[name].calls.all[id].state === 'ended' ? undefined : lab.hangup(name, id); },
  hold(name, id) { return agents[name].hold(agents[name].calls.all[id], true); },
  resume(name, id) { return agents[name].hold(agents[name].calls.all[id], false); },
  restart(name, id) { return agents[name].restart(agents[name].calls.all[id]); },
  // what names our half of the ICE session in use
  fragment(name, id) { return agents[name].calls.all[id].pc.currentLocalDescription.sdp.match(/a=ice-ufrag:(.*)/)[1]; },
  refer(name, id, target, other) { return agents[name].refer(agents[name].calls.all[id], target, agents[name].calls.all[other]); },
  digits(name, id, digits, how) { return agents[name].digits(agents[name].calls.all[id], digits, how); },
  // the final status
  message(name, target, text) { return agents[name].message(target, text); },
  subscribe(name, target, event, accept) { return agents[name].subscribe(target, event, accept); },
  unsubscribe(name) { return agents[name].unsubscribe(); },
  // what came by MESSAGE and NOTIFY: {event, body}
  notices(name) { return agents[name].notices; },
  firstPacket(name, id) { return firstPacket(agents[name].calls.all[id]); },
  state(name, id) {
    const c = agents[name].calls.all[id];
    if (!c) return null;
    return { state: c.state, status: c.status, was: c.was, cause: c.cause, reason: c.reason, direction: c.direction, peer: c.peer, verstat: c.verstat, asserted: c.asserted, answeredAt: c.answeredAt, held: c.held, ice: c.pc ? c.pc.iceConnectionState : '' };
  },
  incoming(name) { return agents[name].calls.all.filter((c) => c.direction === 'in' && c.state !== 'ended').map((c) => c.id); },
  // how many RTP packets have left
  async sent(name, id) {
    const c = agents[name].calls.all[id];
    if (!c || !c.pc) return 0;
    for (const s of (await c.pc.getStats()).values()) if (s.type === 'outbound-rtp') return s.packetsSent;
    return 0;
  },
  // the pair in use: protocol, our address and the gateway's, as the browser tells them
  async pair(name, id) {
    const c = agents[name].calls.all[id];
    const stats = await c.pc.getStats();
    for (const s of stats.values()) {
      if (s.type !== 'transport' || !s.selectedCandidatePairId) continue;
      const pair = stats.get(s.selectedCandidatePairId);
      const local = stats.get(pair.localCandidateId), remote = stats.get(pair.remoteCandidateId);
      return { protocol: local.protocol, relay: local.relayProtocol || '', address: remote.address || remote.ip, port: remote.port };
    }
    return { protocol: '', relay: '', address: '', port: 0 };
  },
  // the mime type of what arrives
  async codec(name, id) {
    const c = agents[name].calls.all[id];
    const stats = await c.pc.getStats();
    for (const s of stats.values()) if (s.type === 'inbound-rtp') return stats.get(s.codecId).mimeType;
    return '';
  },
  // what the browser itself counts, for the message of a failing test
  async traffic(name, id) {
    const c = agents[name].calls.all[id];
    const lines = [];
    if (c && c.pc) for (const s of (await c.pc.getStats()).values()) {
      if (s.type === 'inbound-rtp') lines.push(`in: ssrc ${s.ssrc} packets ${s.packetsReceived} lost ${s.packetsLost} energy ${(s.totalAudioEnergy || 0).toFixed(3)} concealed ${s.concealedSamples} of ${s.totalSamplesReceived}`);
      if (s.type === 'outbound-rtp') lines.push(`out: ssrc ${s.ssrc} packets ${s.packetsSent}`);
      if (s.type === 'media-source') lines.push(`source: energy ${(s.totalAudioEnergy || 0).toFixed(3)} level ${s.audioLevel}`);
    }
    return lines.join('; ');
  },
  measure(name, id, frequency) {
    const c = agents[name].calls.all[id];
    return c && c.ear ? c.ear.measure(frequency) : { share: 0, rms: 0 };
  },
  // one wrong hex digit in the certificate's fingerprint of every description that leaves
  forgeFingerprint() {
    const create = (name) => {
      const original = RTCPeerConnection.prototype[name];
      Object.defineProperty(RTCPeerConnection.prototype, name, { value: original });
    };
    create('createOffer');
    const local = Object.getOwnPropertyDescriptor(RTCPeerConnection.prototype, 'localDescription');
    Object.defineProperty(RTCPeerConnection.prototype, 'localDescription', {
      get() {
        const d = local.get.call(this);
        if (!d) return d;
        const sdp = d.sdp.replace(/(a=fingerprint:sha-256 )(..)/g, (_, p, h) => p + (h === '00' ? '01' : '00'));
        return { type: d.type, sdp, toJSON() { return { type: d.type, sdp }; } };
      },
    });
  },
};
