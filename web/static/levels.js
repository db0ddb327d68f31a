// Levels draws how loud streams are, in decibels from -60 to 0: each stream on a meter of the page.
export class Levels {
  // meters: by name, the elements with role=meter that show a level
  constructor(meters) {
    this.meters = {};
    for (const [name, element] of Object.entries(meters)) this.meters[name] = { element };
    this.frame = 0;
  }
  // follow shows how loud a stream is; without a stream the meter falls to zero
  follow(name, stream) {
    const meter = this.meters[name];
    if (meter.stream === stream) return;
    this.release(meter);
    if (stream) this.attach(meter, stream);
  }
  attach(meter, stream) {
    this.context ||= new AudioContext();
    this.context.resume();
    meter.stream = stream;
    meter.source = new MediaStreamAudioSourceNode(this.context, { mediaStream: stream });
    meter.analyser = new AnalyserNode(this.context, { fftSize: 1024 });
    meter.source.connect(meter.analyser);
    meter.samples = new Float32Array(meter.analyser.fftSize);
    meter.level = 0;
    if (!this.frame) this.draw();
  }
  draw() {
    this.frame = requestAnimationFrame(() => this.draw());
    for (const meter of Object.values(this.meters)) {
      if (!meter.analyser) continue;
      meter.analyser.getFloatTimeDomainData(meter.samples);
      let energy = 0;
      for (const x of meter.samples) energy += x * x;
      const decibels = 10 * Math.log10(energy / meter.samples.length + 1e-9);
      const now = Math.min(1, Math.max(0, (decibels + 60) / 60));
      meter.level = Math.max(now, meter.level * 0.92);
      this.show(meter);
    }
  }
  show(meter) {
    meter.element.firstElementChild.style.clipPath = `inset(0 ${((1 - meter.level) * 100).toFixed(1)}% 0 0)`;
    meter.element.setAttribute('aria-valuenow', String(Math.round(meter.level * 100)));
  }
  release(meter) {
    if (meter.source) meter.source.disconnect();
    meter.source = meter.analyser = meter.stream = null;
    meter.level = 0;
    this.show(meter);
    if (Object.values(this.meters).some((m) => m.source)) return;
    cancelAnimationFrame(this.frame);
    this.frame = 0;
  }
}
