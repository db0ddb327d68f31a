// Account: the user agent, its registration and the accounts that this browser remembers.
// States: off, wait, on, failed. A password is stored only when the user asks for it.

export class Account {
  // events: {state(state, text), registered(), refused(status, cause), lost(), session(session)}
  constructor(storage, session, events) {
    this.storage = storage;
    this.events = events;
    this.instance = this.claim(session);
    this.ua = null;
    this.user = '';
  }
  // claim takes the tab's instance (RFC 5626 §4.1). It lies in the session storage only while no page is open: a reload finds it, a
  // duplicate of a living tab does not, for two tabs must not be one instance.
  claim(session) {
    const instance = session.getItem('instance') || (crypto.randomUUID ? crypto.randomUUID() : null);
    session.removeItem('instance');
    window.addEventListener('pagehide', () => { if (instance) session.setItem('instance', instance); });
    window.addEventListener('pageshow', () => session.removeItem('instance'));
    return instance;
  }
  // online says whether there is a connection to the server
  get online() { return Boolean(this.ua && this.ua.isConnected()); }
  get remembered() {
    try {
      return JSON.parse(this.storage.getItem('accounts')) || [];
    } catch {
      return [];
    }
  }
  // left says whether the user signed out, so that the next page waits for him
  get left() { return this.storage.getItem('left') !== null; }
  remember({ user, domain, password }) {
    const others = this.remembered.filter((a) => a.user !== user || a.domain !== domain);
    this.storage.setItem('accounts', JSON.stringify([{ user, domain, password }, ...others]));
  }
  forget(user, domain) {
    this.storage.setItem('accounts', JSON.stringify(this.remembered.filter((a) => a.user !== user || a.domain !== domain)));
  }
  // start registers; throws when the account's words make no SIP address
  start({ user, domain, password, keep }) {
    this.stop();
    this.storage.removeItem('left');
    this.user = user;
    this.host = domain || location.hostname;
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
    const ua = new JsSIP.UA({
      sockets: [new JsSIP.WebSocketInterface(`${scheme}://${location.host}/sip`)],
      uri: `sip:${encodeURIComponent(user)}@${this.host}`,
      password: password || 'none',
      user_agent: 'Tandem phone',
      connection_recovery_min_interval: 1,
      connection_recovery_max_interval: 15,
      ...(this.instance ? { instance_id: this.instance } : {}),
    });
    this.ua = ua;
    const on = (event, act) => ua.on(event, (e) => { if (this.ua === ua) act(e); }); // one that was stopped has no say
    on('connecting', () => this.events.state('wait', 'Connecting…'));
    on('disconnected', () => {
      this.events.state('failed', 'No connection');
      this.events.lost();
    });
    on('connected', () => this.events.state('wait', 'Registering…'));
    on('registered', () => {
      this.events.state('on', user);
      this.remember({ user, domain, password: keep ? password : undefined });
      this.events.registered();
    });
    on('unregistered', () => { if (ua.isConnected()) this.events.state('off', 'Not registered'); });
    on('registrationFailed', ({ response, cause }) => {
      this.events.state('failed', 'Not registered');
      this.events.refused(response ? response.status_code : 0, cause);
    });
    on('newRTCSession', ({ session }) => this.events.session(session));
    ua.start();
  }
  // address makes a SIP address of what a person typed
  address(target) { return target.includes('@') ? target : `sip:${encodeURIComponent(target)}@${this.host}`; }
  // typed is what a person would type for a SIP address
  typed(address) {
    const here = `@${this.host}`;
    return address.startsWith('sip:') && address.endsWith(here) ? decodeURIComponent(address.slice(4, -here.length)) : address;
  }
  // leave signs out
  leave() {
    this.stop();
    this.storage.setItem('left', '');
  }
  stop() {
    const { ua } = this;
    this.ua = null;
    if (ua) ua.stop();
    this.events.state('off', 'Not registered');
  }
}
