package gateway

import (
	"encoding"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Parse reads a configuration and validates it. file is its name in errors. getenv is os.LookupEnv, or a test's.
// The error is Problems: all of the text's faults, or, where it could be read, all of its meaning's.
func Parse(file string, text []byte, getenv func(string) (string, bool)) (Config, error) {
	d := decoder{getenv: getenv, source: source{file: file, at: make(map[string]position)}}
	var cfg Config
	d.document(text, &cfg)
	if err := d.problems.err(); err != nil {
		return Config{}, err
	}
	cfg.source = d.source
	if err := cfg.Validate(); err != nil {
		return Config{}, err
	}
	return cfg, nil
}

// decoder fills a Config from YAML nodes, strictly: goccy/go-yaml reads the syntax, the walk over its nodes is ours, so that
// every fault is reported at once, by path, and Validate can say where a value stands.
type decoder struct {
	getenv   func(string) (string, bool)
	source   source
	problems Problems
}

// laterKeys are the keys of the design that this version does not obey: refused by their name, never passed over.
// A * stands for a name or an index.
var laterKeys = map[string]string{
	"networks":        "networks are not in this version; sip.advertise and media.rtp.advertise name an outside address",
	"https.acme":      "acme is not in this version; give certificate and key",
	"pools.*.network": "networks are not in this version",

	"trunks.*.network": "networks are not in this version",
}

func (d *decoder) fail(path string, tk *token.Token, format string, args ...any) {
	p := Problem{File: d.source.file, Key: path, Words: fmt.Sprintf(format, args...)}
	if tk != nil && tk.Position != nil {
		p.Line, p.Column = tk.Position.Line, tk.Position.Column
	}
	d.problems = append(d.problems, p)
}

func (d *decoder) document(text []byte, cfg *Config) { d.body(text, reflect.ValueOf(cfg).Elem()) }

// body decodes the one document of a text.
func (d *decoder) body(text []byte, dst reflect.Value) {
	file, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey()) // duplicates are refused below, by path
	if err != nil {
		var syntax yaml.Error
		if errors.As(err, &syntax) {
			d.fail("", syntax.GetToken(), "%s", syntax.GetMessage())
		} else {
			d.fail("", nil, "%s", err)
		}
		return
	}
	var bodies []ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil {
			bodies = append(bodies, doc.Body)
		}
	}
	switch len(bodies) {
	case 0:
		d.fail("", nil, "the configuration is empty")
	case 1:
		d.value("", bodies[0], dst)
	default:
		d.fail("", bodies[1].GetToken(), "a second document; a configuration is one")
	}
}

// value decodes one node into dst, whose type says what is wanted.
func (d *decoder) value(path string, node ast.Node, dst reflect.Value) {
	if _, found := d.source.at[path]; !found && path != "" {
		pos := node.GetToken().Position
		d.source.at[path] = position{pos.Line, pos.Column}
	}
	switch node.Type() {
	case ast.NullType:
		d.fail(path, node.GetToken(), "has no value; remove the key or give one")
		return
	case ast.AnchorType, ast.AliasType, ast.TagType:
		d.fail(path, node.GetToken(), "anchors, aliases and tags are not taken here")
		return
	}
	if dst.Kind() == reflect.Pointer {
		fresh := reflect.New(dst.Type().Elem())
		d.value(path, node, fresh.Elem())
		dst.Set(fresh)
		return
	}
	_, isText := dst.Addr().Interface().(encoding.TextUnmarshaler)
	if isText || dst.Kind() == reflect.String {
		node = rejoin(node)
	}
	switch {
	case isText && isScalar(node):
		d.scalar(path, node, dst)
	case dst.Kind() == reflect.Struct && mapping(node) != nil && (dst.NumField() == 0 || hasKeys(dst.Type())):
		d.structure(path, mapping(node), dst)
	case dst.Kind() == reflect.Map && mapping(node) != nil:
		d.named(path, mapping(node), dst)
	case dst.Kind() == reflect.Slice:
		d.list(path, node, dst)
	case isScalar(node):
		d.scalar(path, node, dst)
	default:
		d.fail(path, node.GetToken(), "is %s; wanted %s", nodeWords(node), typeWords(dst.Type()))
	}
}

func (d *decoder) structure(path string, pairs []*ast.MappingValueNode, dst reflect.Value) {
	fields := make(map[string][]int)
	for _, field := range reflect.VisibleFields(dst.Type()) { // an embedded struct's keys stand among the others
		if key := field.Tag.Get("yaml"); key != "" {
			fields[key] = field.Index
		}
	}
	d.pairs(path, pairs, func(key, at string, pair *ast.MappingValueNode) {
		if i, known := fields[key]; known {
			d.value(at, pair.Value, dst.FieldByIndex(i))
		} else if words := later(at); words != "" {
			d.fail(at, pair.Key.GetToken(), "%s", words)
		} else {
			d.fail(at, pair.Key.GetToken(), "unknown key%s", suggestion(key, fields))
		}
	})
}

func (d *decoder) named(path string, pairs []*ast.MappingValueNode, dst reflect.Value) {
	dst.Set(reflect.MakeMap(dst.Type()))
	d.pairs(path, pairs, func(key, at string, pair *ast.MappingValueNode) {
		item := reflect.New(dst.Type().Elem()).Elem()
		d.value(at, pair.Value, item)
		dst.SetMapIndex(reflect.ValueOf(key), item)
	})
}

// pairs calls each for every key that stands once, and remembers where.
func (d *decoder) pairs(path string, pairs []*ast.MappingValueNode, each func(key, at string, pair *ast.MappingValueNode)) {
	seen := make(map[string]int)
	for _, pair := range pairs {
		tk := pair.Key.GetToken()
		if _, isMerge := pair.Key.(*ast.MergeKeyNode); isMerge || !isScalar(pair.Key) {
			d.fail(path, tk, "the key has to be a plain word")
			continue
		}
		key := tk.Value
		at := joinPath(path, key)
		if first, twice := seen[key]; twice {
			d.fail(at, tk, "stands here a second time, after line %d", first)
			continue
		}
		seen[key] = tk.Position.Line
		d.source.at[at] = position{tk.Position.Line, tk.Position.Column}
		each(key, at, pair)
	}
}

// list decodes a sequence; one item may stand without brackets.
func (d *decoder) list(path string, node ast.Node, dst reflect.Value) {
	nodes := []ast.Node{node}
	if sequence, isList := node.(*ast.SequenceNode); isList {
		nodes = sequence.Values
	}
	dst.Set(reflect.MakeSlice(dst.Type(), len(nodes), len(nodes)))
	for i, item := range nodes {
		d.value(fmt.Sprintf("%s[%d]", path, i), item, dst.Index(i))
	}
}

func (d *decoder) scalar(path string, node ast.Node, dst reflect.Value) {
	tk := node.GetToken()
	text, expanded, err := d.expand(scalarText(node))
	if err != nil {
		d.fail(path, tk, "%s", err)
		return
	}
	wanted := node.Type() == ast.BoolType || node.Type() == ast.IntegerType || expanded // not a quoted word
	switch to := dst.Addr().Interface().(type) {
	case *netip.AddrPort:
		*to, err = parseAddrPort(text)
	case *netip.Addr:
		if *to, err = netip.ParseAddr(text); err != nil {
			err = fmt.Errorf("%q is not an IP address", text)
		}
	case encoding.TextUnmarshaler:
		err = to.UnmarshalText([]byte(text))
	case *time.Duration:
		if *to, err = time.ParseDuration(text); err != nil || *to < 0 {
			err = fmt.Errorf("%q is not a duration, such as 500ms, 5s or 10m", text)
		}
	case *string:
		*to = text
	case *bool:
		if *to, err = strconv.ParseBool(text); err != nil || !wanted {
			err = fmt.Errorf("%q is not true or false", text)
		}
	case *int:
		if *to, err = strconv.Atoi(text); err != nil || !wanted {
			err = fmt.Errorf("%q is not a whole number", text)
		}
	case *uint16:
		n, bad := strconv.ParseUint(text, 10, 16)
		if *to = uint16(n); bad != nil || !wanted {
			err = fmt.Errorf("%q is not a number from 0 to 65535", text)
		}
	default:
		err = fmt.Errorf("is %s; wanted %s", nodeWords(node), typeWords(dst.Type()))
	}
	if err != nil {
		d.fail(path, tk, "%s", err)
	}
}

// expand puts environment variables in the place of ${NAME}; $${ stands for a plain ${.
func (d *decoder) expand(text string) (out string, expanded bool, err error) {
	out = variable.ReplaceAllStringFunc(text, func(found string) string {
		if strings.HasPrefix(found, "$$") {
			return found[1:]
		}
		name := found[2 : len(found)-1]
		value, isSet := d.getenv(name)
		switch {
		case !variableName.MatchString(name):
			err = errors.Join(err, fmt.Errorf("%s is not a variable ${NAME}; $%s stands for the text itself", found, found))
		case !isSet:
			err = errors.Join(err, fmt.Errorf("the environment variable %s is not set", name))
		}
		expanded = true
		return value
	})
	return out, expanded, err
}

var (
	variable     = regexp.MustCompile(`\$?\$\{[^}]*\}`)
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// Load reads and validates the configuration in a file, with the process's environment.
func Load(file string) (Config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return Config{}, err
	}
	return Parse(file, text, os.LookupEnv)
}
