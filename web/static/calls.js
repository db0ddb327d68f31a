// Calls holds the calls of the phone, of which one is in front; only that one is not on hold.
import { Call } from './call.js';

export class Calls {
  // events: {changed(), began(call), finished(call, {originator, cause}), failed(error)}; online() says whether the server can be told
  constructor(events, online) {
    this.events = events;
    this.online = online;
    this.all = [];
    this.current = null;
    this.consulting = null; // the call whose heir is dialled next
  }
  add(session) {
    const call = new Call(session, {
      changed: () => this.events.changed(),
      finished: (why) => this.remove(call, why),
      failed: (error) => this.events.failed(error),
      online: this.online,
    });
    this.all.push(call);
    if (!call.incoming) {
      call.consultFor = this.consulting;
      this.consulting = null;
    }
    if (!call.incoming || !this.current) this.select(call);
    this.events.began(call);
    return call;
  }
  remove(call, why) {
    this.all = this.all.filter((c) => c !== call);
    for (const c of this.all) if (c.consultFor === call) c.consultFor = null;
    if (this.current === call) {
      this.current = null;
      const next = call.consultFor || this.all.find((c) => c.state === 'incoming') || this.all[0];
      if (next) this.current = next;
    }
    this.events.finished(call, why);
    this.events.changed();
  }
  // select brings a call to the front; one that still rings leaves the others as they are
  select(call) {
    this.current = call;
    if (call.state !== 'incoming') this.only(call);
    this.events.changed();
  }
  // only takes a call off hold and holds the others
  only(call) {
    for (const c of this.all) if (c.state === 'talking') c.hold(c !== call);
  }
  // answer is called when a call is about to be taken: it comes to the front
  answer(call) {
    this.current = call;
    this.only(call);
  }
  get talking() { return this.all.some((c) => c.state === 'talking'); }
  // ringing is the call that wants to be answered, undefined when there is none
  get ringing() { return this.all.find((c) => c.state === 'incoming'); }
  // recover is called when the connection is back
  recover() { for (const call of this.all) call.recover(); }
}
