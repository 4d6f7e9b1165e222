//! Interceptors of a client: what librdkafka calls when a request is sent or ends, and when a broker's
//! connection changes its state.

use std::ffi::{CStr, c_char, c_void};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rdkafka::config::NativeClientConfig;
use rdkafka::types::{RDKafkaErrorCode as Code, RDKafkaRespErr};
use rdkafka_sys as sys;

use super::NativeError;

/// What watches a client by interceptors. librdkafka's own threads call them.
pub(super) trait Watcher: Default + Sync {
    /// The interceptors' name, in librdkafka's log.
    const NAME: &CStr;

    /// Adds the interceptors to a client that is being made; false where librdkafka took one of them not.
    ///
    /// # Safety
    ///
    /// `client` is live, and `opaque` is what [`watcher`] takes, for as long as the client lives.
    unsafe fn add(client: *mut sys::rd_kafka_t, opaque: *mut c_void) -> bool;
}

/// A watcher, and whether librdkafka took its interceptors.
#[derive(Debug, Default)]
pub(super) struct Watch<W> {
    attached: AtomicBool,
    watcher: W,
}

impl<W> Deref for Watch<W> {
    type Target = W;

    fn deref(&self) -> &W {
        &self.watcher
    }
}

impl<W: Watcher> Watch<W> {
    /// A watch of the client that will be made of `config`.
    ///
    /// # Errors
    ///
    /// Where librdkafka takes no interceptor.
    ///
    /// # Safety
    ///
    /// The watch is kept until the client was destroyed, or could not be made.
    pub(super) unsafe fn of(config: &NativeClientConfig) -> Result<Arc<Self>, NativeError> {
        let watch = Arc::new(Self::default());
        let opaque = Arc::as_ptr(&watch).cast_mut().cast();
        // SAFETY: the configuration is live, and the caller keeps the watch as long as it is used.
        let added = unsafe {
            sys::rd_kafka_conf_interceptor_add_on_new(
                config.ptr(),
                W::NAME.as_ptr(),
                Some(on_new::<W>),
                opaque,
            )
        };
        if added == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Ok(watch);
        }
        Err(NativeError::of(added.into()))
    }

    /// That the client does call the interceptors: librdkafka only logs that one was not added.
    ///
    /// # Errors
    ///
    /// Where it does not.
    pub(super) fn attached(&self) -> Result<(), NativeError> {
        if self.attached.load(Ordering::Acquire) {
            return Ok(());
        }
        let what = format!("librdkafka took no interceptors ({:?})", W::NAME);
        Err(NativeError::new(Code::Fail, what))
    }
}

/// The watcher that an interceptor was added with.
///
/// # Safety
///
/// `opaque` is what [`Watcher::add`] was given, by a client that is live.
pub(super) unsafe fn watcher<'a, W>(opaque: *mut c_void) -> &'a W {
    // SAFETY: as the caller vouches; the watch outlives its client, and is only ever shared.
    let watch: &Watch<W> = unsafe { &*opaque.cast_const().cast() };
    &watch.watcher
}

/// Called while the client is made, before it has threads: nobody reads the list of interceptors yet.
unsafe extern "C" fn on_new<W: Watcher>(
    client: *mut sys::rd_kafka_t,
    _config: *const sys::rd_kafka_conf_t,
    opaque: *mut c_void,
    _message: *mut c_char,
    _size: usize,
) -> RDKafkaRespErr {
    // SAFETY: the client is live, and so is the watch (`Watch::of`), which is only ever shared.
    unsafe {
        let watch: &Watch<W> = &*opaque.cast_const().cast();
        watch.attached.store(W::add(client, opaque), Ordering::Release);
    }
    RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR
}
