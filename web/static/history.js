// History keeps the last calls in this browser.
const most = 50;

export class History {
  constructor(storage) { this.storage = storage; }
  // entries, newest first: {name, target, incoming, outcome ('answered', 'missed', 'declined', 'elsewhere', 'unanswered'), at (ms), seconds}
  get entries() {
    try {
      return JSON.parse(this.storage.getItem('history')) || [];
    } catch {
      return [];
    }
  }
  add(entry) {
    this.storage.setItem('history', JSON.stringify([entry, ...this.entries].slice(0, most)));
    if (entry.outcome === 'missed') this.storage.setItem('missed', String(this.missed + 1));
  }
  // missed is how many calls were since the history was seen
  get missed() { return Number(this.storage.getItem('missed')) || 0; }
  seen() { this.storage.removeItem('missed'); }
  // last is the target that was dialled last; empty when there is none
  get last() {
    const found = this.entries.find((e) => !e.incoming);
    return found ? found.target : '';
  }
  clear() {
    this.storage.removeItem('history');
    this.seen();
  }
}
