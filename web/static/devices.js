// Devices: which microphone and which speaker, remembered in this browser.
const processing = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

export class Devices {
  // selects: {microphone, speaker}, the page's choices; players: the audio elements that follow the speaker
  constructor(storage, selects, players) {
    this.storage = storage;
    this.selects = selects;
    this.players = players;
    for (const [kind, select] of Object.entries(selects)) select.addEventListener('change', () => this.choose(kind, select.value));
    if (navigator.mediaDevices) navigator.mediaDevices.addEventListener('devicechange', () => this.list());
    this.microphoneChanged = () => {};
  }
  choose(kind, id) {
    this.storage.setItem(kind, id);
    if (kind === 'speaker') this.speak(); else this.microphoneChanged();
  }
  // constraints of getUserMedia; a chosen microphone that is gone gives way to another
  constraints() {
    const chosen = this.storage.getItem('microphone');
    return { audio: chosen ? { ...processing, deviceId: { ideal: chosen } } : processing, video: false };
  }
  // list shows what there is; browsers tell the names once the microphone was allowed
  async list() {
    if (!navigator.mediaDevices) return;
    const all = await navigator.mediaDevices.enumerateDevices();
    this.fill('microphone', all.filter((d) => d.kind === 'audioinput'));
    this.fill('speaker', all.filter((d) => d.kind === 'audiooutput'));
    this.speak();
  }
  fill(kind, devices) {
    const chosen = this.storage.getItem(kind) || '';
    const options = [new Option('The system’s choice', '')];
    devices.forEach((d, i) => { if (d.deviceId && d.deviceId !== 'default') options.push(new Option(d.label || `${kind} ${i + 1}`, d.deviceId)); });
    this.selects[kind].replaceChildren(...options);
    this.selects[kind].value = options.some((o) => o.value === chosen) ? chosen : '';
  }
  speak() {
    for (const player of this.players) if (player.setSinkId) player.setSinkId(this.selects.speaker.value).catch(() => {});
  }
}
