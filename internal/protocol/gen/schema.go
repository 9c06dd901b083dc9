package main

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
)

// A schema is troupe.proto with its options read.
type schema struct {
	file     *protogen.File
	options  options
	envelope []*protogen.Field
	frames   []*frame
	messages []*protogen.Message // all but Frame
	enums    []*protogen.Enum
}

// A frame is one member of Frame's oneof.
type frame struct {
	field   *protogen.Field
	typ     string
	aliases []string
	answer  string // of a request: the type that answers it
}

func readSchema(plugin *protogen.Plugin) (*schema, error) {
	file := plugin.FilesByPath[protoFile]
	opts := plugin.FilesByPath[optionsFile]
	if file == nil || opts == nil {
		return nil, errors.New("run me on " + optionsFile + " and " + protoFile)
	}
	s := &schema{file: file, enums: file.Enums}
	for _, x := range opts.Extensions {
		if err := s.options.types.RegisterExtension(dynamicpb.NewExtensionType(x.Desc)); err != nil {
			return nil, err
		}
	}
	for _, m := range file.Messages {
		if m.Desc.Name() != "Frame" {
			s.messages = append(s.messages, m)
			if len(m.Fields) > 64 {
				return nil, fmt.Errorf("%s: more than 64 fields", m.Desc.Name())
			}
			continue
		}
		for _, f := range m.Fields {
			if f.Oneof == nil {
				s.envelope = append(s.envelope, f)
				continue
			}
			typ := s.options.text(f.Desc, "type")
			if typ == "" {
				typ = string(f.Desc.Name())
			}
			s.frames = append(s.frames, &frame{field: f, typ: typ, aliases: s.options.texts(f.Desc, "alias")})
		}
	}
	for _, f := range s.frames {
		for _, g := range s.frames {
			if g.typ == f.typ+"_reply" {
				f.answer = g.typ
			}
		}
	}
	return s, nil
}

// frameOf gives the request that has message as its body, nil: none.
func (s *schema) requestOf(m *protogen.Message) *frame {
	for _, f := range s.frames {
		if f.field.Message == m && f.answer != "" {
			return f
		}
	}
	return nil
}

func (s *schema) need(f *protogen.Field) bool { return s.options.flag(f.Desc, "need") }
func (s *schema) raw(f *protogen.Field) bool  { return s.options.flag(f.Desc, "raw") }

// word is an enum value's name in JSON.
func (s *schema) word(v *protogen.EnumValue) string {
	if w := s.options.text(v.Desc, "word"); w != "" {
		return w
	}
	return string(v.Desc.Name())
}

// options reads our options off a descriptor. protoc hands them over as fields
// that this program does not know, as it must not import what it generates.
type options struct{ types protoregistry.Types }

func (o *options) value(d protoreflect.Descriptor, name protoreflect.Name) (v protoreflect.Value, ok bool) {
	raw, err := proto.Marshal(d.Options())
	if err != nil {
		panic(err)
	}
	known := d.Options().ProtoReflect().New()
	if err := (proto.UnmarshalOptions{Resolver: &o.types}).Unmarshal(raw, known.Interface()); err != nil {
		panic(err)
	}
	known.Range(func(f protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if f.IsExtension() && f.Name() == name {
			v, ok = value, true
		}
		return !ok
	})
	return v, ok
}

func (o *options) flag(d protoreflect.Descriptor, name protoreflect.Name) bool {
	v, ok := o.value(d, name)
	return ok && v.Bool()
}

func (o *options) text(d protoreflect.Descriptor, name protoreflect.Name) string {
	if v, ok := o.value(d, name); ok {
		return v.String()
	}
	return ""
}

func (o *options) number(d protoreflect.Descriptor, name protoreflect.Name) int64 {
	if v, ok := o.value(d, name); ok {
		return v.Int()
	}
	return 0
}

func (o *options) texts(d protoreflect.Descriptor, name protoreflect.Name) (list []string) {
	if v, ok := o.value(d, name); ok {
		for i := range v.List().Len() {
			list = append(list, v.List().Get(i).String())
		}
	}
	return list
}

// comment is what stands before or behind a descriptor, on one line.
func comment(c protogen.CommentSet) string {
	text := string(c.Trailing)
	if text == "" {
		text = string(c.Leading)
	}
	return strings.Join(strings.Fields(text), " ")
}
