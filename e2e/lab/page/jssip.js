// JsSIPAgent drives unmodified JsSIP.
'use strict';

class JsSIPAgent {
  constructor(options) {
    const { JsSIP } = libs;
    this.options = options;
    this.calls = new Calls();
    this.tone = new Tone(options.tone);
    this.socket = new JsSIP.WebSocketInterface(options.url);
    this.ua = new JsSIP.UA({ sockets: [this.socket], uri: options.uri, password: options.password || undefined, register: false, connection_recovery_min_interval: 1, session_timers: options.sessionTimers !== false,
      ...(options.jwt ? { authorization_jwt: options.jwt } : {}) });
    this.ua.on('newRTCSession', ({ originator, session, request }) => {
      if (originator === 'remote') this.watch(this.calls.add('in', session), session, request);
    });
    this.registered = 0;
    this.ua.on('registered', () => { this.registered++; });
    this.notices = [];
    this.ua.on('newMessage', ({ originator, request }) => { if (originator === 'remote') this.notices.push({ event: 'MESSAGE', body: request.body }); });
    this.ua.on('sipEvent', ({ event, request }) => this.notices.push({ event: event.event, body: request.body }));
  }
  start() {
    return new Promise((resolve, reject) => {
      this.ua.once('connected', () => resolve());
      this.ua.once('disconnected', (e) => reject(new Error('disconnected: ' + e.reason)));
      this.ua.start();
    });
  }
  register() {
    return new Promise((resolve) => {
      this.ua.once('registered', (e) => resolve(e.response.status_code));
      this.ua.once('registrationFailed', (e) => resolve(e.response ? e.response.status_code : 0));
      this.ua.register();
    });
  }
  unregister() {
    return new Promise((resolve) => { this.ua.once('unregistered', (e) => resolve(e.response ? e.response.status_code : 0)); this.ua.unregister(); });
  }
  stop() { this.ua.stop(); }
  watch(call, session, request) {
    if (request) {
      call.peer = request.from.uri.user;
      call.verstat = request.getHeader('X-Verstat') || '';
      const asserted = request.getHeader('P-Asserted-Identity');
      call.asserted = asserted ? libs.JsSIP.NameAddrHeader.parse(asserted).uri.user : '';
    }
    session.on('progress', (e) => { enter(call, e.response && e.response.body ? 'early' : 'ringing', e.response?.status_code); });
    session.on('accepted', (e) => { enter(call, 'answered', e.response ? e.response.status_code : 200); call.answeredAt = performance.now() - call.startedAt; });
    session.on('failed', (e) => { enter(call, 'ended', e.message && e.message.status_code || 0); call.cause = e.cause; call.reason = e.message && e.message.getHeader('Reason') || ''; });
    session.on('ended', (e) => { enter(call, 'ended'); call.cause = e.cause; });
    session.on('hold', (e) => { if (e.originator === 'remote') call.held = true; });
    session.on('unhold', (e) => { if (e.originator === 'remote') call.held = false; });
    if (session.connection) watchTracks(call, session.connection);
    else session.on('peerconnection', ({ peerconnection }) => watchTracks(call, peerconnection));
  }
  call(target, replaces) {
    const call = this.calls.add('out', null);
    // the clock starts when the INVITE leaves, for gathering candidates before it is the browser's own time
    const handlers = { sending: () => { call.startedAt = performance.now(); }, peerconnection: ({ peerconnection }) => watchTracks(call, peerconnection) };
    call.session = this.ua.call(target, { mediaStream: this.tone.stream, eventHandlers: handlers, pcConfig: { iceServers: [] },
      extraHeaders: replaces ? ['Replaces: ' + replaces] : [] });
    this.watch(call, call.session);
    return call;
  }
  message(target, text) {
    return new Promise((resolve) => this.ua.sendMessage(target, text, { eventHandlers: {
      succeeded: (e) => resolve(e.response.status_code), failed: (e) => resolve(e.response ? e.response.status_code : 0) } }));
  }
  subscribe(target, event, accept) {
    this.subscriber = this.ua.subscribe(target, event, accept, { expires: 60 });
    this.subscriber.on('notify', (isFinal, request, body) => this.notices.push({ event, body: body || '' }));
    this.subscriber.subscribe();
  }
  unsubscribe() { this.subscriber.terminate(); }
  answer(call) { call.session.answer({ mediaStream: this.tone.stream, pcConfig: { iceServers: [] } }); }
  hangup(call) { call.session.terminate(); }
  hold(call, on) {
    return new Promise((resolve, reject) => {
      const done = () => resolve();
      const ok = on ? call.session.hold({}, done) : call.session.unhold({}, done);
      if (!ok) reject(new Error('JsSIP refuses to ' + (on ? 'hold' : 'resume')));
    });
  }
  restart(call) {
    return new Promise((resolve, reject) => {
      if (!call.session.renegotiate({ rtcOfferConstraints: { iceRestart: true } }, resolve)) reject(new Error('JsSIP refuses to restart ICE'));
    });
  }
  // refer resolves with the status of the NOTIFY that ends it
  refer(call, target, other) {
    return new Promise((resolve) => {
      const done = (e) => resolve(e.status_line ? e.status_line.status_code : e.request ? 200 : 0);
      call.session.refer(other ? other.session.remote_identity.uri : target, {
        replaces: other ? other.session : undefined,
        eventHandlers: { requestFailed: () => resolve(0), accepted: done, failed: done },
      });
    });
  }
  digits(call, digits, how) { call.session.sendDTMF(digits, { transportType: how === 'info' ? 'INFO' : 'RFC2833', duration: 120, interToneGap: 120 }); }
}
