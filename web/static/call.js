// Call is one call as a person sees it, on top of a JsSIP session.
// States: incoming, calling, ringing, connecting, talking, ending (hung up without a connection to the server), ended.
import { Quality } from './quality.js';

const again = 200; // ms until a change that the session could not take yet is tried again
const broken = 3000; // ms without ICE connectivity after which a new path is looked for
const digits = 20; // of those sent, that are shown

// aor is the address of a JsSIP.URI; JsSIP itself throws where there is a % in the user.
export function aor(uri) {
  try {
    return uri.toAor();
  } catch {
    return `sip:${encodeURIComponent(uri.user)}@${uri.host}`;
  }
}

export class Call {
  // changed() is called after every change, finished({originator, cause}) once, failed(error) when there is no microphone; online() says
  // whether the server can be told
  constructor(session, { changed, finished, failed, online }) {
    Object.assign(this, { session, changed, online });
    this.incoming = session.direction === 'incoming';
    this.name = session.remote_identity.display_name || session.remote_identity.uri.user || session.remote_identity.uri.host;
    this.target = aor(session.remote_identity.uri);
    this.state = this.incoming ? 'incoming' : 'calling';
    this.at = Date.now();
    this.since = 0; // when the talk began, ms
    this.held = false; // what the user wants; the session follows
    this.restart = false;
    this.farHeld = false;
    this.muted = false;
    this.stream = null; // what is heard
    this.tones = ''; // the last digits that were sent
    this.cut = false; // the path is broken, another one is looked for
    this.trouble = ''; // what is wrong with its sound, as a sentence
    this.quality = null;
    this.consultFor = null; // the call that this one is to be handed to
    session.on('progress', ({ originator }) => { if (originator === 'remote') this.enter('ringing'); });
    session.on('accepted', () => this.enter('connecting'));
    session.on('confirmed', () => this.confirmed());
    for (const event of ['hold', 'unhold']) session.on(event, () => this.heard());
    session.on('getusermediafailed', failed);
    // the gateway learns every address from the checks: the description waits for no server that cannot be reached
    session.on('icecandidate', ({ ready }) => ready());
    for (const event of ['failed', 'ended']) session.on(event, (e) => { this.over(); finished(e); });
    this.survive(session);
    if (session.connection) this.listen(session.connection);
    else session.on('peerconnection', ({ peerconnection }) => this.listen(peerconnection));
  }
  // survive keeps a call whose change or refresh is lost with the connection, where JsSIP would end it; the change is made again. Of a change
  // that is refused because the call is over JsSIP would end the call, too, and throw.
  survive(session) {
    const terminate = session.terminate.bind(session);
    session.terminate = (options) => { if (!session.isEnded()) terminate(options); };
    const end = session.onTransportError.bind(session);
    session.onTransportError = () => { if (session.isEstablished()) this.restart = true; else end(); };
  }
  enter(state) {
    if (this.state === state || this.state === 'ended') return;
    this.state = state;
    this.changed();
  }
  confirmed() {
    if (this.since) return;
    this.since = Date.now();
    this.quality = new Quality(this.session.connection);
    this.enter('talking');
    this.settle();
  }
  over() {
    this.state = 'ended';
    clearTimeout(this.timer);
    clearTimeout(this.outage);
  }
  heard() {
    this.farHeld = this.session.isOnHold().remote;
    this.changed();
  }
  listen(connection) {
    connection.addEventListener('track', ({ track }) => {
      if (track.kind !== 'audio') return;
      this.stream = new MediaStream([track]);
      this.changed();
    });
    connection.addEventListener('iceconnectionstatechange', () => {
      clearTimeout(this.outage);
      const { iceConnectionState: state } = connection;
      if (state === 'disconnected') this.outage = setTimeout(() => this.recover(), broken);
      if (this.cut === ['disconnected', 'failed'].includes(state)) return;
      this.cut = !this.cut;
      this.changed();
    });
  }
  // recover does what waited for the server, and looks for a new path when the old one is broken (RFC 8839 §4.4.1.1.1)
  recover() {
    if (this.state === 'ending') this.end();
    if (this.state !== 'talking') return;
    if (['disconnected', 'failed'].includes(this.session.connection.iceConnectionState)) this.restart = true;
    this.settle();
  }
  // settle brings the session to what the user wants. A session in the middle of another change takes none: then it is tried again;
  // without a connection, recover does.
  settle() {
    clearTimeout(this.timer);
    const { session } = this;
    if (!session.isEstablished() || !this.online()) return;
    if (this.restart) this.restart = !session.renegotiate({ rtcOfferConstraints: { iceRestart: true } });
    else if (session.isOnHold().local !== this.held) {
      if (this.held) session.hold(); else session.unhold();
    }
    if (this.restart || session.isOnHold().local !== this.held) this.timer = setTimeout(() => this.settle(), again);
  }
  hold(wanted) {
    this.held = wanted;
    this.settle();
    this.changed();
  }
  mute(wanted) {
    this.muted = wanted;
    if (wanted) this.session.mute({ audio: true }); else this.session.unmute({ audio: true });
    this.changed();
  }
  tone(key) {
    if (!this.session.isEstablished()) return;
    this.session.sendDTMF(key, { transportType: 'RFC2833' });
    this.tones = (this.tones + key).slice(-digits);
    this.changed();
  }
  // own is the stream that is sent, null before there is one
  get own() {
    const track = this.sender && this.sender.track;
    if (!track) return null;
    if (!this.sent || this.sent.getTracks()[0] !== track) this.sent = new MediaStream([track]);
    return this.sent;
  }
  get sender() {
    return this.session.connection && this.session.connection.getSenders().find((s) => s.track && s.track.kind === 'audio');
  }
  // transfer hands the far side to an address, or to the far side of another call (RFC 3515, RFC 3891)
  transfer(address, other) {
    return new Promise((done, refused) => {
      this.session.refer(address, {
        ...(other ? { replaces: other.session } : {}),
        eventHandlers: {
          accepted: () => done(),
          failed: () => refused(new Error('it was not answered')),
          requestFailed: ({ response, cause }) => refused(new Error(response ? `${cause} (${response.status_code})` : cause)),
        },
      });
    });
  }
  // end hangs up. Without a connection nobody is heard any more at once, and the far side is told later; asked again, it waits for nothing.
  end() {
    if (this.session.isEnded()) return;
    if (this.state === 'talking' && !this.online()) {
      this.mute(true);
      this.stream = null;
      this.enter('ending');
      return;
    }
    this.session.terminate(this.state === 'incoming' ? { status_code: 603 } : {});
  }
}
