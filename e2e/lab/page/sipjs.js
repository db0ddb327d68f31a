// SIPJSAgent drives unmodified SIP.js.
'use strict';

class SIPJSAgent {
  constructor(options) {
    const { SIP } = libs;
    this.options = options;
    this.calls = new Calls();
    this.tone = new Tone(options.tone);
    const uri = SIP.UserAgent.makeURI(options.uri);
    this.failed = 0;
    this.agent = new SIP.UserAgent({
      uri,
      transportOptions: { server: options.url, connectionTimeout: 60 }, // of 5 s, in which a busy machine does nothing
      authorizationUsername: uri.user,
      authorizationPassword: options.password,
      logLevel: 'error',
      sipExtension100rel: options.reliable ? SIP.SIPExtension.Required : SIP.SIPExtension.Unsupported,
      sessionDescriptionHandlerFactory: SIP.Web.defaultSessionDescriptionHandlerFactory(() => Promise.resolve(this.tone.stream.clone())), // it stops the tracks at the end of a call
      sessionDescriptionHandlerFactoryOptions: { peerConnectionConfiguration: { iceServers: [] }, iceGatheringTimeout: 1000 },
      delegate: {
        onInvite: (session) => this.incoming(session),
        onMessage: (m) => { this.notices.push({ event: 'MESSAGE', body: m.request.body }); m.accept(); },
        onNotify: (n) => this.noted(n),
        onConnect: () => { if (this.registering) this.register(); },
        onDisconnect: (error) => { if (error) this.reconnect(); },
      },
    });
    this.notices = [];
    this.registered = 0;
    this.registerer = new SIP.Registerer(this.agent, { expires: 600 });
  }
  start() { return this.agent.start(); }
  register() {
    const { SIP } = libs;
    this.registering = true;
    return new Promise((resolve, reject) => {
      this.registerer.stateChange.addListener((state) => { if (state === SIP.RegistererState.Registered) resolve(200); });
      this.registerer.register({ requestDelegate: { onAccept: () => { this.registered++; }, onReject: (r) => resolve(r.message.statusCode) } }).catch(reject);
    });
  }
  // the library leaves it to the application to connect again after a loss
  reconnect() { this.agent.reconnect().catch(() => setTimeout(() => this.reconnect(), 500)); }
  unregister() { return new Promise((resolve) => this.registerer.unregister({ requestDelegate: { onAccept: (r) => resolve(r.message.statusCode) } })); }
  stop() { return this.agent.stop(); }
  incoming(session) {
    const call = this.calls.add('in', session);
    call.peer = session.remoteIdentity.uri.user;
    call.verstat = session.request.getHeader('X-Verstat') || '';
    call.asserted = session.assertedIdentity ? session.assertedIdentity.uri.user : '';
    enter(call, 'ringing');
    this.watch(call, session);
  }
  watch(call, session) {
    const { SIP } = libs;
    session.delegate = {
      onSessionDescriptionHandler: (handler) => { watchTracks(call, handler.peerConnection); },
      onCancel: (cancel) => { call.reason = cancel.request.getHeader('Reason') || ''; },
      onBye: (bye) => { call.cause = 'Terminated'; bye.accept(); },
    };
    session.stateChange.addListener((state) => {
      const handler = session.sessionDescriptionHandler; // made before the delegate where its 183 was reliable
      if (state === SIP.SessionState.Established && handler && call.pc !== handler.peerConnection) watchTracks(call, handler.peerConnection);
      if (state === SIP.SessionState.Established) { enter(call, 'answered', 200); call.answeredAt = performance.now() - call.startedAt; }
      if (state === SIP.SessionState.Terminated) enter(call, 'ended');
    });
  }
  call(target, replaces) {
    const { SIP } = libs;
    const inviter = new SIP.Inviter(this.agent, SIP.UserAgent.makeURI(target), { earlyMedia: true, extraHeaders: replaces ? ['Replaces: ' + replaces] : [], inviteWithoutSdp: this.options.delayed, sessionDescriptionHandlerOptions: { constraints: { audio: true, video: false } } });
    const call = this.calls.add('out', inviter);
    this.watch(call, inviter);
    inviter.invite({ requestDelegate: {
      onProgress: (r) => enter(call, r.message.body ? 'early' : 'ringing', r.message.statusCode),
      onReject: (r) => { call.status = r.message.statusCode; call.cause = r.message.reasonPhrase; },
    } }).catch((e) => { enter(call, 'ended'); call.cause = String(e); });
    return call;
  }
  noted(n) { this.notices.push({ event: n.request.getHeader('Event'), body: n.request.body }); n.accept(); }
  message(target, text) {
    const { SIP } = libs;
    return new Promise((resolve) => new SIP.Messager(this.agent, SIP.UserAgent.makeURI(target), text).message({ requestDelegate: {
      onAccept: (r) => resolve(r.message.statusCode), onReject: (r) => resolve(r.message.statusCode) } }));
  }
  subscribe(target, event, accept) {
    const { SIP } = libs;
    this.subscriber = new SIP.Subscriber(this.agent, SIP.UserAgent.makeURI(target), event, { expires: 60, extraHeaders: ['Accept: ' + accept] });
    this.subscriber.delegate = { onNotify: (n) => this.noted(n) };
    return this.subscriber.subscribe();
  }
  unsubscribe() { return this.subscriber.unsubscribe(); }
  answer(call) { return call.session.accept({ sessionDescriptionHandlerOptions: { constraints: { audio: true, video: false } } }); }
  hangup(call) {
    const { SIP } = libs;
    switch (call.session.state) {
      case SIP.SessionState.Established: return call.session.bye().then(() => {});
      default: return call.direction === 'out' ? call.session.cancel() : call.session.reject();
    }
  }
  hold(call, on) {
    return new Promise((resolve, reject) => {
      call.session.invite({
        sessionDescriptionHandlerModifiers: on ? [libs.SIP.Web.holdModifier] : [],
        requestDelegate: { onAccept: () => resolve(), onReject: (r) => reject(new Error('refused: ' + r.message.statusCode)) },
      }).catch(reject);
    });
  }
  restart(call) {
    return new Promise((resolve, reject) => {
      call.session.invite({
        sessionDescriptionHandlerOptions: { offerOptions: { iceRestart: true } },
        requestDelegate: { onAccept: () => resolve(), onReject: (r) => reject(new Error('refused: ' + r.message.statusCode)) },
      }).catch(reject);
    });
  }
  // refer resolves with the status of the NOTIFY that ends it
  refer(call, target, other) {
    return new Promise((resolve, reject) => {
      call.session.refer(other ? other.session : libs.SIP.UserAgent.makeURI(target), {
        onNotify: (n) => {
          n.accept();
          const status = Number(n.request.body.split(' ')[1]);
          if (status >= 200) resolve(status);
        },
        requestDelegate: { onReject: (r) => resolve(r.message.statusCode) },
      }).catch(reject);
    });
  }
  async digits(call, digits, how) {
    for (const d of digits) {
      if (how === 'info') await call.session.info({ requestOptions: { body: { contentDisposition: 'render', contentType: 'application/dtmf-relay', content: `Signal=${d}\r\nDuration=120` } } });
      else if (!call.session.sessionDescriptionHandler.sendDtmf(d, { duration: 120, interToneGap: 120 })) throw new Error('no DTMF sender');
      await new Promise((r) => setTimeout(r, 300));
    }
  }
}
