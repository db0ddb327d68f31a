// What is wrong with how the page looks now, as sentences: contrast by WCAG 2.2 (1.4.3, 1.4.11), reflow (1.4.10), and controls that
// nobody reaches (2.1.1, 2.5.8).
(() => {
  const wrong = [];
  const text = 4.5, shape = 3, target = 24;
  const controls = 'button, input, select, summary, a';

  const parse = (color) => {
    const found = color.match(/^rgba?\(([\d.]+), ([\d.]+), ([\d.]+)(?:, ([\d.]+))?\)$/);
    if (!found) throw new Error(`what colour is ${color}?`);
    return [...found.slice(1, 4).map(Number), found[4] === undefined ? 1 : Number(found[4])];
  };
  const over = ([r, g, b, a], under) => [r, g, b].map((c, i) => c * a + under[i] * (1 - a)).concat(1);
  const ground = (element) => {
    if (!element) return [255, 255, 255, 1];
    const style = getComputedStyle(element);
    if (Number(style.opacity) !== 1) throw new Error(`${name(element)} is translucent`);
    const color = parse(style.backgroundColor);
    return color[3] === 1 ? color : over(color, ground(element.parentElement));
  };
  const luminance = ([r, g, b]) => {
    const linear = (c) => c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4;
    return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  };
  const name = (e) => `${e.localName}${e.id ? '#' + e.id : ''} "${(e.getAttribute('aria-label') || e.textContent).trim().slice(0, 30)}"`;
  const shown = (e) => e.checkVisibility({ visibilityProperty: true }) && e.getClientRects().length > 0;
  const contrast = (element, what, color, under, least) => {
    const [a, b] = [luminance(over(parse(color), under)), luminance(under)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < least) wrong.push(`${name(element)}: ${what} ${color} on rgb(${under.slice(0, 3)}) has a contrast of ${ratio.toFixed(2)}, not ${least}`);
  };

  const texts = () => {
    let n = 0;
    for (const e of document.querySelectorAll('body, body *')) {
      if (!shown(e) || !e.matches('input, select') && ![...e.childNodes].some((c) => c.nodeType === Node.TEXT_NODE && c.data.trim())) continue;
      contrast(e, 'text', getComputedStyle(e).color, ground(e), text);
      if (e.placeholder) contrast(e, 'placeholder', getComputedStyle(e, '::placeholder').color, ground(e), text);
      n++;
    }
    return n;
  };
  const shapes = () => {
    for (const e of document.querySelectorAll('input:not([type=checkbox]), select, [aria-pressed=true], [aria-current=true], [role=meter] i')) {
      if (!shown(e)) continue;
      const style = getComputedStyle(e), outside = ground(e.parentElement);
      if (e.matches('[aria-pressed]')) contrast(e, 'fill', style.backgroundColor, outside, shape);
      else if (e.matches('i')) for (const [color] of style.backgroundImage.matchAll(/rgb\([^)]*\)/g)) contrast(e.parentElement, 'bar', color, outside, shape);
      else contrast(e, 'border', style.borderTopColor, outside, shape);
    }
  };
  const places = () => {
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth > clientWidth) wrong.push(`the page is ${scrollWidth} px wide in a window of ${clientWidth} px`);
    const focused = document.activeElement;
    for (const e of document.querySelectorAll(controls)) {
      if (!shown(e)) continue;
      e.scrollIntoView({ block: 'center' });
      const box = e.getBoundingClientRect();
      const at = document.elementFromPoint((box.left + box.right) / 2, (box.top + box.bottom) / 2);
      if (!at || !e.contains(at)) wrong.push(`${name(e)} lies under ${at ? name(at) : 'the edge'}`);
      if (box.left < 0 || box.right > clientWidth) wrong.push(`${name(e)} reaches from ${box.left} to ${box.right} px`);
      if (e.localName === 'button' && e.scrollWidth > e.clientWidth) wrong.push(`the words of ${name(e)} are cut off`);
      if (!e.matches('p *, [type=checkbox]') && Math.min(box.width, box.height) < target) wrong.push(`${name(e)} is ${box.width} × ${box.height} px`);
      e.focus({ preventScroll: true });
      if (e.tabIndex < 0 || document.activeElement !== e) wrong.push(`${name(e)} is not reached by the keyboard`);
    }
    focused.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  };

  const grade = document.getElementById('grade');
  const { textContent, dataset: { grade: now = '' } } = grade;
  for (const some of ['good', 'fair', 'poor']) {
    grade.textContent = grade.dataset.grade = some;
    if (texts() < 3) wrong.push('the page is empty');
  }
  Object.assign(grade, { textContent }).dataset.grade = now;
  shapes();
  places();
  return [...new Set(wrong)];
})
