// History keeps the last calls in this browser.
const most = 50;

export class History {
  constructor(storage) { this.storage = storage; }
  // entries, newest first: {name, target, incoming, outcome ('answered', 'missed', 'unanswered'), at (ms), seconds}
  get entries() {
    try {
      return JSON.parse(this.storage.getItem('history')) || [];
    } catch {
      return [];
    }
  }
  add(entry) { this.storage.setItem('history', JSON.stringify([entry, ...this.entries].slice(0, most))); }
  clear() { this.storage.removeItem('history'); }
}
