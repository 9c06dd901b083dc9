package main

import "google.golang.org/protobuf/compiler/protogen"

func writeTypeScript(plugin *protogen.Plugin, s *schema) {}
