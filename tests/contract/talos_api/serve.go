package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/cosi-project/runtime/api/v1alpha1"
	"github.com/cosi-project/runtime/pkg/state/protobuf/server"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/api/storage"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// serve reads {"crt", "key", "ca"} (PEM), says {"port"}, then every request it gets, until standard input ends.
func serve() {
	var given struct{ Crt, Key, Ca string }

	decoder := json.NewDecoder(os.Stdin)
	if err := decoder.Decode(&given); err != nil {
		fail(err)
	}

	pair, err := tls.X509KeyPair([]byte(given.Crt), []byte(given.Key))
	if err != nil {
		fail(err)
	}

	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(given.Ca)) {
		fail(errors.New("no CA certificate"))
	}

	creds := credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{pair},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    roots,
		MinVersion:   tls.VersionTLS13,
	})

	made := grpc.NewServer(grpc.Creds(creds), grpc.UnaryInterceptor(recordUnary), grpc.StreamInterceptor(recordStream))
	machine.RegisterMachineServiceServer(made, &machineService{})
	machine.RegisterLifecycleServiceServer(made, &lifecycleService{})
	machine.RegisterImageServiceServer(made, &imageService{})
	storage.RegisterStorageServiceServer(made, &storageService{})
	v1alpha1.RegisterStateServer(made, server.NewState(resources()))

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fail(err)
	}

	say(map[string]any{"port": listener.Addr().(*net.TCPAddr).Port})

	go func() {
		_, _ = io.Copy(io.Discard, io.MultiReader(decoder.Buffered(), os.Stdin))

		made.Stop()
	}()

	if err := made.Serve(listener); err != nil {
		fail(err)
	}
}

func record(path string, request any) {
	text, err := protojson.Marshal(request.(proto.Message))
	if err != nil {
		fail(fmt.Errorf("%s: %w", path, err))
	}

	say(map[string]any{"method": path, "request": json.RawMessage(text)})
}

func recordUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	record(info.FullMethod, req)

	return handler(ctx, req)
}

type recording struct {
	grpc.ServerStream
	path string
}

func (r *recording) RecvMsg(m any) error {
	err := r.ServerStream.RecvMsg(m)
	if err == nil {
		record(r.path, m)
	}

	return err
}

func recordStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return handler(srv, &recording{stream, info.FullMethod})
}
