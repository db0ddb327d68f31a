package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long a person waits for the page, and a test for anything: what works costs nothing, and machines stand still.
const patience = time.Minute

// Person uses a page as a person does who may not see it: everything is found by the role and the name that a screen reader tells.
type Person struct {
	t   testing.TB
	tab *Tab
}

// Person sits down in front of the tab.
func (tab *Tab) Person(t testing.TB) *Person { return &Person{t: t, tab: tab} }

// Press clicks on the middle of what has this role and name.
func (p *Person) Press(role, name string) {
	p.t.Helper()
	p.at("press", role, name, func(ctx context.Context, x, y float64) error {
		return chromedp.Do(ctx, chromedp.MouseClickXY(x, y))
	})
}

// Hold presses on the middle of what has this role and name, and lets go after something was done.
func (p *Person) Hold(role, name string, do func()) {
	p.t.Helper()
	mouse := func(kind input.DispatchMouseEventType) func(context.Context, float64, float64) error {
		return func(ctx context.Context, x, y float64) error {
			_, err := chromedp.Call(ctx, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: kind, X: x, Y: y, Button: input.MouseButtonLeft, ClickCount: 1})
			return err
		}
	}
	p.at("hold", role, name, mouse(input.DispatchMouseEventTypeMousePressed))
	do()
	p.at("let go of", role, name, mouse(input.DispatchMouseEventTypeMouseReleased))
}

// at does something at the middle of what has this role and name.
func (p *Person) at(what, role, name string, do func(ctx context.Context, x, y float64) error) {
	p.t.Helper()
	p.until(what+" "+role+" "+name, func(ctx context.Context) error {
		node, err := find(ctx, role, name)
		if err != nil {
			return err
		}
		_, _ = chromedp.Call(ctx, dom.ScrollIntoViewIfNeeded, dom.ScrollIntoViewIfNeededParams{BackendNodeID: node})
		quads, err := chromedp.Call(ctx, dom.GetContentQuads, dom.GetContentQuadsParams{BackendNodeID: node})
		if err != nil {
			return err
		}
		if len(quads.Quads) == 0 || len(quads.Quads[0]) < 8 {
			return fmt.Errorf("%s %q has no place on the page", role, name)
		}
		q := quads.Quads[0]
		return do(ctx, (q[0]+q[4])/2, (q[1]+q[5])/2)
	})
}

// Write empties a text field and types into it.
func (p *Person) Write(field, text string) {
	p.t.Helper()
	p.until("write into "+field, func(ctx context.Context) error {
		node, err := find(ctx, "textbox", field)
		if err != nil {
			return err
		}
		if _, err := ask(ctx, node, "function() { this.focus(); this.select(); return '' }"); err != nil {
			return err
		}
		return chromedp.Do(ctx, chromedp.KeyEvent(text))
	})
}

// Type presses keys, wherever the focus is.
func (p *Person) Type(keys string) {
	p.t.Helper()
	p.until("type "+keys, func(ctx context.Context) error { return chromedp.Do(ctx, chromedp.KeyEvent(keys)) })
}

// Focus goes to a control with the keyboard.
func (p *Person) Focus(role, name string) {
	p.t.Helper()
	p.until("focus "+name, func(ctx context.Context) error {
		node, err := find(ctx, role, name)
		if err != nil {
			return err
		}
		_, err = chromedp.Call(ctx, dom.Focus, dom.FocusParams{BackendNodeID: node})
		return err
	})
}

// Reads waits until what has this role and name shows a text that contains wanted.
func (p *Person) Reads(role, name, wanted string) {
	p.t.Helper()
	text := "function() { return this.matches('input, select') ? this.value : this.textContent }"
	p.expect(role, name, text, wanted, func(text string) bool { return strings.Contains(text, wanted) })
}

// Finds waits until an attribute of what has this role and name is as wanted.
func (p *Person) Finds(role, name, attribute, wanted string) {
	p.t.Helper()
	p.expect(role, name, "function() { return String(this.getAttribute('"+attribute+"')) }", attribute+"="+wanted, func(text string) bool { return text == wanted })
}

// Meets waits until the level of a meter, 0 to 100, is as wanted.
func (p *Person) Meets(meter, what string, wanted func(level int) bool) {
	p.t.Helper()
	p.expect("meter", meter, "function() { return this.getAttribute('aria-valuenow') }", what, func(text string) bool {
		level := 0
		_, err := fmt.Sscan(text, &level)
		return err == nil && wanted(level)
	})
}

func (p *Person) expect(role, name, function, what string, wanted func(string) bool) {
	p.t.Helper()
	p.until(fmt.Sprintf("%s %q: %s", role, name, what), func(ctx context.Context) error {
		node, err := find(ctx, role, name)
		if err != nil {
			return err
		}
		text, err := ask(ctx, node, function)
		if err == nil && !wanted(text) {
			err = fmt.Errorf("it is %q", text)
		}
		return err
	})
}

// Picture keeps a picture of the page in bin/pictures, for people to look at.
func (p *Person) Picture(name string) {
	p.t.Helper()
	picture, err := chromedp.Run(p.tab.ctx, chromedp.CaptureScreenshot())
	if err == nil {
		folder := filepath.Join("..", "bin", "pictures")
		if err = os.MkdirAll(folder, 0o755); err == nil {
			err = os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o644)
		}
	}
	if err != nil {
		p.t.Fatalf("picture %s: %v", name, err)
	}
}

// Does has the page call a function first, for what no person can bring about.
func (p *Person) Does(function string, args ...any) {
	p.t.Helper()
	p.tab.Do(p.t, nil, function, args...)
}

// until tries until it works: pages change while one looks.
func (p *Person) until(what string, try func(context.Context) error) {
	p.t.Helper()
	Eventually(p.t, patience, what, func() error {
		ctx, cancel := context.WithTimeout(p.tab.ctx, patience)
		defer cancel()
		return try(ctx)
	})
}

// find is the one shown node with a role and a name; a name that ends in … is the beginning of one, an empty one is any.
func find(ctx context.Context, role, name string) (cdp.BackendNodeID, error) {
	document, err := chromedp.Call(ctx, dom.GetDocument, dom.GetDocumentParams{})
	if err != nil {
		return 0, err
	}
	found, err := chromedp.Call(ctx, accessibility.QueryAXTree, accessibility.QueryAXTreeParams{NodeID: document.Root.NodeID, Role: role})
	if err != nil {
		return 0, err
	}
	beginning, open := strings.CutSuffix(name, "…")
	var names []string
	for _, node := range found.Nodes {
		if node.Ignored {
			continue
		}
		text := ""
		if node.Name != nil {
			_ = json.Unmarshal(node.Name.Value, &text)
		}
		if text == name || open && strings.HasPrefix(text, beginning) {
			return node.BackendDOMNodeID, nil
		}
		names = append(names, text)
	}
	return 0, fmt.Errorf("no %s %q is shown, only %q", role, name, names)
}

// ask calls a function whose this is the node and whose result is a string.
func ask(ctx context.Context, node cdp.BackendNodeID, function string) (string, error) {
	resolved, err := chromedp.Call(ctx, dom.ResolveNode, dom.ResolveNodeParams{BackendNodeID: node})
	if err != nil {
		return "", err
	}
	result, err := chromedp.Call(ctx, runtime.CallFunctionOn, runtime.CallFunctionOnParams{ObjectID: resolved.Object.ObjectID, FunctionDeclaration: function, ReturnByValue: new(true)})
	if err != nil {
		return "", err
	}
	text := ""
	err = json.Unmarshal(result.Result.Value, &text)
	return text, err
}
